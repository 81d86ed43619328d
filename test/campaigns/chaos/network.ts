/**
 * A network of three hosts on one switch: the harness with all its clients, and the two servers. Hosts can be cut off.
 *
 * It consists of Linux network namespaces in a user namespace. It needs no privilege if unprivileged user namespaces are allowed.
 * Packets of a host that is cut off are dropped silently, as by a broken switch.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { ChildProcess } from "node:child_process"
import { execFile, spawn, spawnSync } from "node:child_process"
import { promisify } from "node:util"
import type { Endpoints, Role } from "../../support/processes.ts"
import { roles } from "../../support/processes.ts"

export interface Network {
  readonly at: Endpoints
  /** The prefix of a command that runs on the host of a server. */
  readonly enter: { readonly [R in Role]: ReadonlyArray<string> }
  /** Cuts a server off from all hosts, or the servers from each other. */
  readonly cut: (what: Role | "link") => Effect.Effect<void>
  readonly heal: (what: Role | "link") => Effect.Effect<void>
}

const variable = "CHAOS_NETWORK"

const makeSwitch = "ip link set lo up && ip link add switch type bridge && ip link set switch up && " +
  "ip address add 10.77.0.1/24 dev switch"

const unshare = ["unshare", "--user", "--map-root-user", "--net"]

/** Whether this system allows such a network. */
export const isAvailable = (): boolean =>
  process.platform === "linux" &&
  spawnSync(unshare[0]!, [...unshare.slice(1), "sh", "-c", `${makeSwitch} && bridge link show && nsenter --version`])
      .status === 0

/** Whether this program runs in such a network. */
export const hasEntered = (): boolean => process.env[variable] !== undefined

/** Runs this program again in such a network and ends with it, unless it runs in one already. */
export const enterNetwork = async (): Promise<void> => {
  if (hasEntered()) {
    return
  }
  const [program, ...args] = [...unshare, process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const child = spawn(program!, args, { stdio: "inherit", env: { ...process.env, [variable]: "1" } })
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => child.kill(signal))
  }
  process.on("exit", () => child.kill("SIGTERM"))
  const code = await new Promise<number | null>((resolve) => child.on("exit", resolve))
  process.exit(code ?? 1)
}

const addresses: { readonly [R in Role]: string } = { primary: "10.77.0.2", backup: "10.77.0.3" }

const endpoints = (role: Role) => ({
  frontend: `tcp://${addresses[role]}:5001`,
  state: `tcp://${addresses[role]}:5003`
})

const sh = (command: string): Effect.Effect<void> =>
  Effect.promise(() => promisify(execFile)("sh", ["-c", command])).pipe(Effect.asVoid)

/** Makes a host. A process holds its namespace. */
const makeHost = (role: Role): Effect.Effect<ReadonlyArray<string>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const holder: ChildProcess = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn("unshare", ["--net", "sh", "-c", "echo; exec cat"], { stdio: ["pipe", "pipe", "ignore"] })
      ),
      (holder) => Effect.sync(() => holder.kill("SIGKILL"))
    )
    yield* Effect.promise(() => new Promise((resolve) => holder.stdout!.once("data", resolve)))
    const enter = ["nsenter", `--target=${holder.pid}`, "--net"]
    yield* sh(
      `ip link add ${role} type veth peer name eth0 netns ${holder.pid} && ` +
        `ip link set ${role} master switch up && ` +
        `${enter.join(" ")} sh -c "ip link set lo up; ip address add ${
          addresses[role]
        }/24 dev eth0; ip link set eth0 up"`
    )
    return enter
  })

export const makeNetwork: Effect.Effect<Network, never, Scope.Scope> = Effect.gen(function*() {
  yield* sh(makeSwitch)
  const enter = { primary: yield* makeHost("primary"), backup: yield* makeHost("backup") }
  const set = (what: Role | "link", link: string, port: string) =>
    what === "link"
      ? sh(roles.map((role) => `bridge link set dev ${role} isolated ${link}`).join(" && "))
      : sh(`bridge link set dev ${what} state ${port}`)
  return {
    at: { primary: endpoints("primary"), backup: endpoints("backup") },
    enter,
    cut: (what) => set(what, "on", "disabled"),
    heal: (what) => set(what, "off", "forwarding")
  }
})
