# SPDX-License-Identifier: Apache-2.0
"""MONAI Label's server for its own pages alone, by ``start_server --uvicorn_app pranet_monai.label.server:app``.

By itself it lets web pages of any origin read what it answers. Its setting against that, ``MONAI_LABEL_CORS_ORIGINS``,
keeps release 0.8.5 from starting.
"""

from __future__ import annotations

from fastapi.middleware.cors import CORSMiddleware
from monailabel.app import app

__all__ = ["app"]

app.user_middleware = [middleware for middleware in app.user_middleware if middleware.cls is not CORSMiddleware]
