"""A worker of a proxy: a plain REP socket, connected to both servers of the pair. Puts text into capitals.

    python3 worker.py tcp://localhost:5005 tcp://localhost:5006
"""
import sys
import zmq

worker = zmq.Context().socket(zmq.REP)
worker.rcvhwm = 1  # take no more than one ahead, so that another worker can have it
for endpoint in sys.argv[1:]:
    worker.connect(endpoint)
print("worker: ready", flush=True)

while True:
    body = worker.recv_multipart()
    worker.send_multipart([frame.upper() for frame in body])
