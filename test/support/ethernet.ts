/**
 * Hosts on an Ethernet: Linux network namespaces with an `eth0` each, connected by a bridge. Unlike those of `network.ts` they have
 * neighbours, so that an address can move. It needs no privilege if unprivileged user namespaces are allowed.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"

export interface Ethernet<Host extends string> {
  /** The prefix of a command that runs on a host. */
  readonly enter: { readonly [H in Host]: ReadonlyArray<string> }
  /** Runs a command on a host. */
  readonly execute: (host: Host, command: string) => Effect.Effect<string>
}

const unshare = ["unshare", "--user", "--map-root-user", "--net"]

/** Whether this system allows such a network. */
export const isAvailable = (): boolean =>
  process.platform === "linux" &&
  spawnSync(unshare[0]!, [
      ...unshare.slice(1),
      "ip",
      "link",
      "add",
      "name",
      "left",
      "type",
      "veth",
      "peer",
      "name",
      "right"
    ]).status === 0

/** The prefix of a command that enters a namespace of its own. It ends with the scope, or with this process. */
const makeNamespace = (command: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const holder = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(command[0]!, [...command.slice(1), "sh", "-c", "echo $$ && exec cat"], {
          stdio: ["pipe", "pipe", "inherit"]
        })
      ),
      (holder) => Effect.sync(() => holder.kill("SIGKILL"))
    )
    const [pid] = yield* Effect.promise(() => once(holder.stdout, "data"))
    return { pid: Number(pid), enter: ["nsenter", `--target=${Number(pid)}`, "--user", "--net"] }
  })

const execute = (enter: ReadonlyArray<string>, command: string) =>
  Effect.sync(() => {
    const { status, stderr, stdout } = spawnSync(enter[0]!, [...enter.slice(1), "sh", "-c", command], {
      encoding: "utf8"
    })
    if (status !== 0) {
      throw new Error(`${command}: ${stderr}`)
    }
    return stdout
  })

/** Makes hosts with these addresses, each with its prefix length. */
export const makeEthernet = <Host extends string>(
  addresses: { readonly [H in Host]: string }
): Effect.Effect<Ethernet<Host>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const bridge = yield* makeNamespace(unshare)
    yield* execute(bridge.enter, "ip link add name bridge type bridge && ip link set bridge up")
    const enter: { [host: string]: ReadonlyArray<string> } = {}
    for (const [host, address] of Object.entries<string>(addresses)) {
      const { pid, enter: prefix } = yield* makeNamespace([...bridge.enter, "unshare", "--net"])
      yield* execute(bridge.enter, `ip link add name ${host} type veth peer name eth0 netns ${pid}`)
      yield* execute(bridge.enter, `ip link set ${host} master bridge up`)
      yield* execute(prefix, `ip link set lo up && ip address add ${address} dev eth0 && ip link set eth0 up`)
      enter[host] = prefix
    }
    return {
      enter: enter as Ethernet<Host>["enter"],
      execute: (host, command) => execute(enter[host]!, command)
    }
  })
