// Volumes in NiiVue: three planes, radiological convention, labels in the organs' colours.
import { Niivue, SLICE_TYPE } from "./niivue.js";

export const planes = { 0: "three planes", 1: "axial", 2: "coronal", 3: "sagittal" };
const TYPES = [SLICE_TYPE.MULTIPLANAR, SLICE_TYPE.AXIAL, SLICE_TYPE.CORONAL, SLICE_TYPE.SAGITTAL];
const OPACITY = { image: 1, mask: 0.5, reference: 0.5, unsure: 0.8 };

export async function createViewer(place, classes, said) {
  const canvas = document.createElement("canvas");
  place.replaceChildren(canvas);
  const viewer = new Niivue({
    backColor: [0, 0, 0, 1],
    crosshairWidth: 0.7,
    crosshairColor: [0.9, 0.9, 0.9, 0.6],
    isRadiologicalConvention: true,
    sagittalNoseLeft: true,
    dragAndDropEnabled: false,
    loadingText: "",
    isColorbar: false,
    viewModeHotKey: "",
    clipPlaneHotKey: "",
    multiplanarShowRender: 0,
    onLocationChange: (where) => said(where.string),
  });
  await viewer.attachToCanvas(canvas);
  viewer.setSliceType(SLICE_TYPE.MULTIPLANAR);
  let shown = [];

  function table() {
    const rows = [{ number: 0, name: "", color: [0, 0, 0] }, ...classes];
    return {
      R: rows.map((one) => one.color[0]), G: rows.map((one) => one.color[1]), B: rows.map((one) => one.color[2]),
      A: rows.map((one) => (one.number ? 255 : 0)), I: rows.map((one) => one.number), labels: rows.map((one) => one.name),
    };
  }

  // to the middle of what was found, else one would look at empty slices
  function centre(volume) {
    const [, columns, rows, slices] = volume.hdr.dims;
    const sum = [0, 0, 0];
    let count = 0;
    for (let at = 0, z = 0; z < slices; z++) {
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < columns; x++, at++) {
          if (volume.img[at]) { sum[0] += x; sum[1] += y; sum[2] += z; count++; }
        }
      }
    }
    if (!count) return;
    const voxel = [...sum.map((one) => Math.round(one / count)), 1];
    const mm = volume.hdr.affine.slice(0, 3).map((row) => row.reduce((total, one, axis) => total + one * voxel[axis], 0));
    viewer.scene.crosshairPos = viewer.mm2frac(mm);
  }

  return {
    async show(layers, address) {
      for (const volume of [...viewer.volumes].reverse()) viewer.removeVolume(volume);
      shown = layers;
      await viewer.loadVolumes(layers.map((layer) => ({
        url: address(layer), name: `${layer}.nii`, opacity: OPACITY[layer],
        ...(layer === "unsure" ? { colormap: "hot", cal_min: 5, cal_max: 60 } : {}),
      })));
      layers.forEach((layer, at) => {
        if (layer === "mask" || layer === "reference") viewer.volumes[at].setColormapLabel(table());
      });
      if (layers.includes("mask")) centre(viewer.volumes[layers.indexOf("mask")]);
      viewer.updateGLVolume();
    },
    setVisible(visible) {
      shown.forEach((layer, at) => viewer.volumes[at] && viewer.setOpacity(at, visible[layer] ? OPACITY[layer] : 0));
    },
    setPlane: (plane) => viewer.setSliceType(TYPES[plane]),
  };
}
