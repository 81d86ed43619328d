/**
 * Links to the page of the other server.
 */
import type { Role } from "../../protocol/StateMachine.ts"
import { peerOf } from "../../protocol/StateMachine.ts"
import type { NodeStatus } from "../../status/Status.ts"

export interface PeerPage {
  readonly role: Role
  readonly href: string
}

/** The page of the peer, if its address is known. Only addresses of HTTP become links: one from a server may hold anything. */
export const peerPageOf = ({ peerHttp, role }: Pick<NodeStatus, "peerHttp" | "role">): PeerPage | undefined => {
  if (peerHttp === null || !URL.canParse(peerHttp)) {
    return undefined
  }
  const { href, protocol } = new URL(peerHttp)
  return protocol === "http:" || protocol === "https:" ? { role: peerOf(role), href } : undefined
}
