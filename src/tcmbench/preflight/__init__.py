"""What is made certain on the machine at hand before a suite starts: speed, memory, disk, network.

It takes real steps on pictures of noise: no dataset has to be there, and none is touched.
"""
