"""``atss_shapes_dark.py`` with the loss of ``edge_consistency.py`` in place of the published consistency loss."""

_base_ = ['./atss_shapes_dark.py']

custom_imports = dict(imports=['mmdark.register', 'edge_consistency'])
model = dict(losses=dict(consistency=None, edges=dict(type='EdgeConsistencyLoss')))
