"""A network of one host that meets itself: what it sends to 10.9.0.2 comes back to 10.9.0.1 as if 10.9.0.2 had sent it, late.

Runs as root of a network namespace. Prints a line when it is ready. Its argument and each line of its standard input are the
one-way delay in milliseconds; it ends with its standard input. Addresses are swapped in each packet, which leaves every
checksum as it is, so that connections are made, refused and broken as on a network with this delay.
"""
import collections, fcntl, os, select, struct, subprocess, sys, time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

delay = float(sys.argv[1]) / 1000
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"delay", IFF_TUN | IFF_NO_PI))
for command in (
    "link set lo up",
    "address add 10.9.0.1/32 dev delay",
    "link set delay up",
    "route add 10.9.0.2/32 dev delay src 10.9.0.1",
):
    subprocess.run(["ip", *command.split()], check=True)
print("ready", flush=True)

packets = collections.deque()
while True:
    wait = max(0, packets[0][0] - time.monotonic()) if packets else None
    ready, _, _ = select.select([tun, 0], [], [], wait)
    if 0 in ready:
        lines = os.read(0, 4096).split()
        if not lines:
            break
        delay = float(lines[-1]) / 1000
    if tun in ready:
        packet = os.read(tun, 65536)
        if packet[0] >> 4 == 4:
            packets.append((time.monotonic() + delay, packet[:12] + packet[16:20] + packet[12:16] + packet[20:]))
    while packets and packets[0][0] <= time.monotonic():
        os.write(tun, packets.popleft()[1])
