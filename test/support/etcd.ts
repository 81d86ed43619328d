/** A server of etcd. */
import type { Scope } from "effect"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Engine, EngineError, Host } from "./engine.ts"
import { startEngine, temporaryDirectory, thisHost } from "./engine.ts"
import { freePorts } from "./ports.ts"

const command = ["/usr/bin/etcd", "/usr/local/bin/etcd"].find((file) => fs.existsSync(file))

/** Why there is no etcd here. */
export const etcdIsMissing = command === undefined ? "etcd is not installed: apt-get install etcd-server" : undefined

export interface Options {
  /** Files for TLS; with an authority, clients need a certificate. */
  readonly tls?: { readonly certificate: string; readonly key: string; readonly authority?: string }
  /** Defaults to this host. */
  readonly host?: Host
}

const get = (url: string) =>
  Effect.tryPromise(async (signal) => {
    const response = await fetch(url, { signal })
    const { health } = await response.json() as { readonly health: string }
    if (health !== "true") {
      throw new Error(`health: ${health}`)
    }
  })

/** Starts etcd. It is ready. */
export const startEtcd = ({ host = thisHost, tls }: Options = {}): Effect.Effect<Engine, EngineError, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* temporaryDirectory
    return yield* startEngine(directory, Effect.promise(() => freePorts(3)), ([client, peer, metrics]) => {
      const clients = `http${tls === undefined ? "" : "s"}://${host.address}:${client}`
      const peers = `http://127.0.0.1:${peer}`
      return {
        command: command!,
        args: [
          ...["--data-dir", path.join(directory, `data-${client}`), "--name", "one", "--logger", "zap"],
          ...["--listen-client-urls", clients, "--advertise-client-urls", clients],
          ...["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", `one=${peers}`],
          ...["--listen-metrics-urls", `http://${host.address}:${metrics}`],
          ...(tls === undefined ? [] : ["--cert-file", tls.certificate, "--key-file", tls.key]),
          ...(tls?.authority === undefined ? [] : ["--client-cert-auth", "--trusted-ca-file", tls.authority])
        ],
        env: { ETCD_UNSUPPORTED_ARCH: process.arch },
        isReady: get(`http://${host.address}:${metrics}/health`)
      }
    }, host)
  })

/** A request to the gateway, as an operator makes it. */
export const postToEtcd = (port: number, path: string, body: unknown, token?: string) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}/v3/${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      headers: token === undefined ? {} : { authorization: token }
    })
    const answer = await response.json() as { readonly token: string }
    if (response.status !== 200) {
      throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`)
    }
    return answer
  })

export const base64 = (text: string): string => Buffer.from(text).toString("base64")

/** Lets `member` read and write a key. */
export const readWrite = (key: string) => ({ name: "member", perm: { permType: "READWRITE", key: base64(key) } })

/** Enables authentication: `member` may write these keys and nothing else. Returns the token of `root`. */
export const enableAuthentication = (port: number, ...keys: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    for (const name of ["root", "member"]) {
      yield* postToEtcd(port, "auth/user/add", { name, password: "secret" })
      yield* postToEtcd(port, "auth/role/add", { name })
      yield* postToEtcd(port, "auth/user/grant", { user: name, role: name })
    }
    for (const key of keys) {
      yield* postToEtcd(port, "auth/role/grant", readWrite(key))
    }
    yield* postToEtcd(port, "auth/enable", {})
    return (yield* postToEtcd(port, "auth/authenticate", { name: "root", password: "secret" })).token
  })
