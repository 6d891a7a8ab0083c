"""What `fastnn.exchange.to_c` writes: the C functions of the steps, the file, and its sizes."""
