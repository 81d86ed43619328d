"""Stands in for `arping -A` (iputils) where it is not installed: announces an IPv4 address of an interface once.

    arping [-q] [-c COUNT] -A -I INTERFACE ADDRESS
"""
import socket, sys

interface, address = sys.argv[sys.argv.index("-I") + 1], socket.inet_aton(sys.argv[-1])
announcer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
announcer.bind((interface, 0))
mac = announcer.getsockname()[4]
everyone = b"\xff" * 6
reply = bytes.fromhex("0001080006040002") + mac + address + everyone + address
announcer.send(everyone + mac + b"\x08\x06" + reply)
