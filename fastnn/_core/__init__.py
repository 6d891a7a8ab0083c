"""The compiled core: plans, training, inference. Not for users; see `fastnn.Network`."""
