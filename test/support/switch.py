"""A network of hosts, each a network namespace with one TUN device, and this program between them, which passes their packets on.

Runs as root of a network namespace, which is the first host. Arguments: NAME=ADDRESS of each host. Prints a line with the file
descriptors of all namespaces when it is ready. A line of standard input, "FROM TO cut" or "FROM TO MILLIS", sets what happens to
packets of one direction from now on, and is answered with a line; it ends with its standard input. Packets that are cut are
dropped silently. The packets of a direction stay in order; those that are already on their way arrive.
"""
import ctypes, fcntl, heapq, os, select, socket, struct, subprocess, sys, time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 0x0001, 0x1000, 0x40000000

libc = ctypes.CDLL(None, use_errno=True)
hosts = [argument.split("=") for argument in sys.argv[1:]]
namespaces, tuns, host_of = {}, {}, {}
for name, address in hosts:
    if namespaces and libc.unshare(CLONE_NEWNET) != 0:
        sys.exit("unshare: " + os.strerror(ctypes.get_errno()))
    namespaces[name] = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"net", IFF_TUN | IFF_NO_PI))
    for command in (
        "link set lo up",
        f"address add {address}/24 dev net",
        "link set net txqueuelen 4000 up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    tuns[tun] = name
    host_of[socket.inet_aton(address)] = name

device_of = {name: tun for tun, name in tuns.items()}
delays = {(a, b): 0.0 for a in device_of for b in device_of}
last_due = dict.fromkeys(delays, 0.0)
waiting, count = [], 0
try:
    os.nice(-10)
except OSError:
    pass
print(" ".join(f"{name}={fd}" for name, fd in namespaces.items()), flush=True)


def deliver(to, packet):
    try:
        os.write(to, packet)
    except OSError:
        pass  # Its queue is full, or it is no valid packet: lost, as on any network.


def take(tun, name):
    global count
    for _ in range(64):
        try:
            packet = os.read(tun, 65536)
        except BlockingIOError:
            return
        to = host_of.get(packet[16:20]) if packet[0] >> 4 == 4 else None
        delay = None if to is None else delays[name, to]
        if delay is None:
            continue
        now = time.monotonic()
        due = max(now + delay, last_due[name, to])
        if due <= now:
            deliver(device_of[to], packet)
        else:
            last_due[name, to] = due
            count += 1
            heapq.heappush(waiting, (due, count, device_of[to], packet))


rest = b""
poll = [*tuns, 0]
while True:
    ready, _, _ = select.select(poll, [], [], max(0, waiting[0][0] - time.monotonic()) if waiting else None)
    if 0 in ready:
        text = os.read(0, 65536)
        if not text:
            break
        *lines, rest = (rest + text).split(b"\n")
        for line in lines:
            a, b, what = line.decode().split()
            delays[a, b] = None if what == "cut" else float(what) / 1000
            print("ok", flush=True)
    for tun in ready:
        if tun:
            take(tun, tuns[tun])
    while waiting and waiting[0][0] <= time.monotonic():
        _, _, to, packet = heapq.heappop(waiting)
        deliver(to, packet)
