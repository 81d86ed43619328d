/** What a server rejects at its start, bstar config check rejects before. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { makeCertificates, opensslIsMissing } from "../support/certificates.ts"
import { makeKeyFiles } from "../support/keys.ts"
import { bstar, freeEndpoints, serverArgs, startLine } from "../support/processes.ts"
import { temporaryFile } from "./readme.ts"

const configuration = 78

/** Both reject the settings, with one line that matches. */
const bothReject = (message: RegExp, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
  Effect.gen(function*() {
    const server = serverArgs("primary", yield* freeEndpoints, "1 second")
    for (const command of [["config", "check"], []]) {
      const process = yield* bstar([...command, ...server, ...args], env)
      assert.strictEqual((yield* process.exit).code, configuration, `${command.join(" ")} ${process.stdout()}`)
      assert.match(process.stderr(), message)
      assert.notInclude(process.stderr(), "a secret")
    }
  })

/** Both accept the settings. */
const bothAccept = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
  Effect.gen(function*() {
    const all = [...serverArgs("primary", yield* freeEndpoints, "1 second"), ...args]
    const check = yield* bstar(["config", "check", ...all], env)
    assert.strictEqual((yield* check.exit).code, 0, check.stderr())
    const server = yield* bstar(all, env)
    yield* server.waitForLine(startLine.primary)
  })

const http = ["--http", "127.0.0.1:0"]
const etcd = ["--policy", "witnessed", "--witness", "etcds://127.0.0.1:1/pair"]

describe("bstar config check and the start of a server", () => {
  const tokens: ReadonlyArray<readonly [what: string, content: string, message: RegExp]> = [
    ["a space", "a secret\n", /^E: http-token-file: expected a token of visible ASCII characters without spaces\n$/],
    ["two lines", "one\ntwo\n", /^E: http-token-file: expected a token of visible ASCII characters/],
    ["a letter beyond ASCII", "t\u00f6ken\n", /^E: http-token-file: expected a token of visible ASCII characters/],
    ["nothing", " \n", /^E: http-token-file: .* is empty\n$/]
  ]
  for (const [what, content, message] of tokens) {
    it.scopedLive(`reject a file of the token with ${what}`, () =>
      Effect.gen(function*() {
        const file = yield* temporaryFile("token", content)
        yield* bothReject(message, [...http, "--http-token-file", file])
      }))
  }

  it.scopedLive("reject a token of the environment with a space, unless there is a file, which wins", () =>
    Effect.gen(function*() {
      const env = { BSTAR_HTTP_TOKEN: "a secret" }
      yield* bothReject(
        /^E: BSTAR_HTTP_TOKEN: expected a token of visible ASCII characters without spaces\n$/,
        http,
        env
      )
      yield* bothAccept([...http, "--http-token-file", yield* temporaryFile("token", "a-token\n")], env)
    }))

  it.scopedLive("reject a file that is a directory", () =>
    bothReject(/^E: http-token-file: cannot read \/tmp: it is a directory\n$/, [...http, "--http-token-file", "/tmp"]))

  it.scopedLive("reject --peer-http without --http", () =>
    bothReject(/^E: peer-http: is of no use without --http\n$/, ["--peer-http", "127.0.0.1:5012"]))

  it.scopedLive("reject --lone serve without a policy", () =>
    bothReject(/^E: lone: "serve" needs the policy "hardened"\n/, ["--lone", "serve"]))

  it.scopedLive("differ in defaults of other commands: only bstar proxy rejects a frontend that is its backend", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* freeEndpoints
      const args = ["-p", "--frontend", "tcp://*:5005", "--state", primary.state, "--peer", backup.state]
      const check = yield* bstar(["config", "check", ...args])
      assert.strictEqual((yield* check.exit).code, 0, check.stderr())
      const proxy = yield* bstar(["proxy", ...args])
      assert.strictEqual((yield* proxy.exit).code, configuration)
      assert.match(proxy.stderr(), /^E: backend: "tcp:\/\/\*:5005" is --frontend, too/)
    }))

  it.scopedLive("reject keys for an endpoint of inproc", () =>
    Effect.gen(function*() {
      const { backup, primary } = yield* freeEndpoints
      const keys = yield* makeKeyFiles()
      for (const command of [["config", "check"], []]) {
        const process = yield* bstar([
          ...[...command, "-p", "--keys", keys, "--frontend", "inproc://pair"],
          ...["--state", primary.state, "--peer", backup.state]
        ])
        assert.strictEqual((yield* process.exit).code, configuration)
        assert.match(process.stderr(), /^E: keys: inproc:\/\/pair: endpoints of inproc have no keys; use tcp or ipc\n$/)
      }
    }))

  it.scopedLive("reject files of keys that are none", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeyFiles(["alice"])
      const rejected = (message: RegExp) => bothReject(message, ["--keys", keys])
      fs.writeFileSync(path.join(keys, "clients/alice.key"), "nonsense")
      yield* rejected(/keys: .*alice\.key has no line public-key/)
      fs.rmSync(path.join(keys, "clients/alice.key"))
      fs.writeFileSync(path.join(keys, "backup.next.key"), "public-key = \"short\"")
      yield* rejected(/keys: .*backup\.next\.key contains a text that is not a key of CURVE/)
      fs.rmSync(path.join(keys, "backup.next.key"))
      yield* bothAccept(["--keys", keys])
    }))

  it.scopedLive("reject a file of a worker's key that is none, which bstar proxy reads", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeyFiles([], ["w"])
      fs.writeFileSync(path.join(keys, "workers/w.key"), "nonsense")
      const { backup, primary } = yield* freeEndpoints
      const args = ["-p", "--keys", keys, "--frontend", primary.frontend, "--state", primary.state]
      for (const [command, ...more] of [["config", "check"], ["proxy", "--backend", backup.frontend]]) {
        const process = yield* bstar([command!, ...more, ...args, "--peer", backup.state])
        assert.strictEqual((yield* process.exit).code, configuration)
        assert.match(process.stderr(), /keys: .*w\.key has no line public-key/)
      }
    }))

  it.scopedLive("reject files of the witness that contain no certificate and no key", () =>
    Effect.gen(function*() {
      const file = yield* temporaryFile("garbage.pem", "a secret\n")
      yield* bothReject(/^E: witness-ca: \S+garbage\.pem contains no certificate in PEM\n$/, [
        ...etcd,
        "--witness-ca",
        file
      ])
      yield* bothReject(
        /^E: witness-cert: \S+garbage\.pem contains no certificate in PEM\n$/,
        [...etcd, "--witness-cert", file, "--witness-key", file]
      )
      const blank = yield* temporaryFile("password", "\n")
      const url = "etcd://user@127.0.0.1:1/pair"
      yield* bothReject(
        /^E: witness-password-file: \S+password is empty\n$/,
        ["--policy", "witnessed", "--witness", url, "--witness-password-file", blank]
      )
    }))

  it.scopedLive.skipIf(opensslIsMissing !== undefined)(
    "reject a bundle with a certificate that is none, and accept a whole one",
    () =>
      Effect.gen(function*() {
        const { authority, client, server } = yield* makeCertificates("user")
        const [first, second] = [authority, server.certificate].map((file) => fs.readFileSync(file, "utf8"))
        const bundleOf = (...parts: ReadonlyArray<string>) => temporaryFile("bundle.pem", parts.join("a comment\n"))
        const broken = [second!.replace(/\n[^\n]{8}/, "\nAAAAAAAA"), second!.slice(0, -40)]
        for (const file of yield* Effect.forEach(broken, (part) => bundleOf(first!, part))) {
          yield* bothReject(
            /^E: witness-ca: \S+bundle\.pem: certificate 2 cannot be parsed\n$/,
            [...etcd, "--witness-ca", file]
          )
        }
        const chain = yield* bundleOf(fs.readFileSync(client.certificate, "utf8"), first!)
        const whole = ["--witness-ca", yield* bundleOf(first!, second!), "--witness-cert", chain]
        yield* bothAccept([...etcd, ...whole, "--witness-key", client.key])
      })
  )

  it.scopedLive.skipIf(opensslIsMissing !== undefined)(
    "reject a key that is not that of the certificate",
    () =>
      Effect.gen(function*() {
        const { authority, client, server } = yield* makeCertificates("user")
        const garbage = yield* temporaryFile("garbage.pem", "a secret\n")
        const files = (certificate: string, key: string) => [
          ...etcd,
          ...["--witness-ca", authority, "--witness-cert", certificate, "--witness-key", key]
        ]
        yield* bothReject(
          /^E: witness-key: \S+garbage\.pem contains no private key in PEM, or one with a passphrase\n$/,
          files(client.certificate, garbage)
        )
        yield* bothReject(
          /^E: witness-key: \S+server\.key is not the key of \S+client\.pem\n$/,
          files(client.certificate, server.key)
        )
        yield* bothAccept(files(client.certificate, client.key))
      })
  )
})
