import type { SocketReason } from "../ports/SocketError.ts"

const reasons: { readonly [code: string]: SocketReason } = {
  EADDRINUSE: "AddressInUse",
  EADDRNOTAVAIL: "NoSuchDevice",
  ENODEV: "NoSuchDevice",
  EACCES: "PermissionDenied",
  EINVAL: "InvalidEndpoint",
  EPROTONOSUPPORT: "InvalidEndpoint",
  ENOENT: "InvalidEndpoint",
  ENOTFOUND: "NoSuchDevice",
  ETIMEOUT: "UnknownHost",
  EAGAIN: "Full",
  EFSM: "OutOfTurn",
  EMFILE: "TooManySockets",
  EBADF: "Closed",
  ENOTSOCK: "Closed"
}

/** The reason behind an error of the binding, by its code. */
export const reasonOf = (cause: unknown): SocketReason =>
  reasons[cause instanceof Error && "code" in cause ? String(cause.code) : ""] ?? "Unknown"
