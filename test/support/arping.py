"""Stands in for `arping -A` (iputils) where it is not installed: announces an IPv4 address of an interface, once a second.

    arping [-q] -c COUNT -A -I INTERFACE ADDRESS

Linux ignores an announcement within a second of the last one that it has accepted for that address.
"""
import socket, sys, time


def argument(name):
    return sys.argv[sys.argv.index(name) + 1]


interface, count, address = argument("-I"), int(argument("-c")), socket.inet_aton(sys.argv[-1])
announcer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
announcer.bind((interface, 0))
mac = announcer.getsockname()[4]
everyone = b"\xff" * 6
reply = bytes.fromhex("0001080006040002") + mac + address + everyone + address
for remaining in reversed(range(count)):
    announcer.send(everyone + mac + b"\x08\x06" + reply)
    if remaining > 0:
        time.sleep(1)
