#!/usr/bin/env bash
# A SLURM job array: every task does a shard of the cases; the last line's job merges when all have ended.
#   sbatch --array=1-100 examples/scale/slurm.sh VOLUMES RESULTS acdc
#   sbatch --dependency=afterany:JOB --wrap "pranet-monai merge RESULTS --input VOLUMES"
# A task that is requeued, or the whole array submitted again, goes on where it was.
#SBATCH --job-name=pranet-monai
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
set -euo pipefail
volumes=$1 results=$2 bundle=$3

export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-2}
# exec: the signal that ends the job reaches the command, which keeps every finished case
exec pranet-monai segment "$volumes" "$results" --bundle "$bundle" --shard slurm --resume --quiet
