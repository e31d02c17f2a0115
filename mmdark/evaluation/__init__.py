"""The official protocols of WIDER FACE and DARK FACE and exact average precision, with NumPy; and metrics of mmdet."""
