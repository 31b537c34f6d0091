"""Gridscribe's nodes for ComfyUI: this folder goes into `custom_nodes`."""

from .nodes import LabeledGrid, LabeledGridFromFolder

NODE_CLASS_MAPPINGS = {
    "GridscribeLabeledGrid": LabeledGrid,
    "GridscribeLabeledGridFromFolder": LabeledGridFromFolder,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "GridscribeLabeledGrid": "Labeled Grid",
    "GridscribeLabeledGridFromFolder": "Labeled Grid from Folder",
}

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
