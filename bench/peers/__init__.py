"""fastnn beside other libraries, each in a process of its own: ``python -m bench.peers``."""
