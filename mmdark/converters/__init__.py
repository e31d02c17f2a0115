"""Offline conversion of data sets: any known format to COCO, and dark copies."""
