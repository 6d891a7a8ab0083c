"""fastnn beside other libraries, each in a process of its own: ``python -m bench.peers``.

The training loops and the rules of timing are those of ``fastnn bench``: `fastnn.contestants` and
`fastnn.timing`. Here is the rest: networks with their bars (`nets`), processes (`process`, and
`inside` them), PyTorch compiled (`training`), inference, and reports.
"""
