import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Curve from "../../src/security/Curve.ts"
import type { Accepted, KeyPair } from "../../src/security/CurveKey.ts"
import * as keygen from "../../src/security/Keygen.ts"
import { directory, makeKeyFiles } from "../support/keys.ts"

const modeOf = (file: string) => fs.statSync(file).mode & 0o777

const keyIn = (file: string) => /public-key = "(.*)"/.exec(fs.readFileSync(file, "utf8"))![1]!

const complaint = (own: Effect.Effect<KeyPair, { readonly message: string }>) =>
  Effect.map(Effect.flip(own), ({ message }) => message)

const namesOf = (accepted: Accepted) => Effect.map(accepted, ({ names }) => [...names.values()])

const complaints = (accepted: Accepted) =>
  Effect.map(accepted, ({ issues }) => issues.map(({ message }) => message).join("\n"))

describe("key files", () => {
  it.scopedLive("are complete for each machine, secrets readable by their owners only, with any umask", () =>
    Effect.gen(function*() {
      const before = process.umask(0)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.umask(before)))
      const keys = yield* makeKeyFiles(["alice"], ["w"])
      process.umask(0o077)
      yield* keygen.member(keys, "client", "bob")
      assert.deepStrictEqual(
        fs.readdirSync(keys, { recursive: true }).map(String).sort().map((file) => [
          file,
          modeOf(path.join(keys, file)).toString(8)
        ]).filter(([file]) => /\.key/.test(file!)),
        [
          ["backup.key", "644"],
          ["backup.key_secret", "600"],
          ["client-alice/backup.key", "644"],
          ["client-alice/client.key_secret", "600"],
          ["client-alice/primary.key", "644"],
          ["client-bob/backup.key", "644"],
          ["client-bob/client.key_secret", "600"],
          ["client-bob/primary.key", "644"],
          ["clients/alice.key", "644"],
          ["clients/bob.key", "644"],
          ["primary.key", "644"],
          ["primary.key_secret", "600"],
          ["worker-w/backup.key", "644"],
          ["worker-w/primary.key", "644"],
          ["worker-w/worker.key_secret", "600"],
          ["workers/w.key", "644"]
        ]
      )
      const primary = Curve.server(keys, "primary")
      const alice = Curve.client(path.join(keys, "client-alice"))
      assert.strictEqual((yield* primary.own).publicKey, keyIn(path.join(keys, "primary.key")))
      assert.deepStrictEqual(yield* namesOf(primary.peer), ["backup.key"])
      assert.deepStrictEqual(yield* namesOf(primary.clients as Accepted), ["alice.key", "bob.key"])
      assert.deepStrictEqual(yield* namesOf(primary.workers), ["w.key"])
      assert.strictEqual((yield* alice.own).publicKey, keyIn(path.join(keys, "clients/alice.key")))
      assert.deepStrictEqual(yield* namesOf(alice.servers), ["primary.key", "backup.key"])
      assert.strictEqual(Curve.server(keys, "backup", { clients: "anyone" }).clients, "anyone")
    }))

  it.scopedLive("are never overwritten, and names are not paths", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeyFiles(["alice"])
      const all = () => fs.readdirSync(keys, { recursive: true }).map(String).sort()
      const before = all()
      const texts = () =>
        all().filter((file) => /\.key/.test(file)).map((file) => fs.readFileSync(path.join(keys, file), "utf8"))
      const textsBefore = texts()
      assert.match(
        (yield* Effect.flip(keygen.pair(keys))).message,
        /primary\.key exists already and is not overwritten/
      )
      assert.match((yield* Effect.flip(keygen.member(keys, "client", "alice"))).message, /alice\.key exists already/)
      for (const name of ["", "..", "../x", "a/b", ".x", "a b", "x".repeat(65)]) {
        assert.match((yield* Effect.flip(keygen.member(keys, "client", name))).message, /expected a name/)
      }
      assert.deepStrictEqual(all(), before)
      assert.deepStrictEqual(texts(), textsBefore)
      // One file that exists stops all.
      fs.rmSync(path.join(keys, "primary.key"))
      assert.match((yield* Effect.flip(keygen.pair(keys))).message, /primary\.key_secret exists already/)
      assert.isFalse(fs.existsSync(path.join(keys, "primary.key")))
      assert.match((yield* Effect.flip(keygen.next(keys, "backup"))).message, /run bstar keygen .* first/)
    }))

  it.scopedLive("that are secret are rejected if others may read them, or if they are invalid", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeyFiles()
      const file = path.join(keys, "primary.key_secret")
      const { own } = Curve.server(keys, "primary")
      for (const mode of [0o604, 0o640, 0o660, 0o601]) {
        fs.chmodSync(file, mode)
        assert.strictEqual(
          yield* complaint(own),
          `keys: ${file} is a secret, and others may read it; chmod 600 ${file}`
        )
      }
      fs.chmodSync(file, 0o400)
      yield* own
      const good = fs.readFileSync(file, "utf8")
      const secret = Redacted.value((yield* own).secretKey)
      fs.chmodSync(file, 0o600)
      for (
        const [text, sentence] of [
          ["", `${file} has no line secret-key = "..."`],
          [good.replace(secret, secret.slice(1)), "contains a text that is not a key of CURVE"],
          [
            good.replace(/public-key = ".*"/, `public-key = "${keyIn(path.join(keys, "backup.key"))}"`),
            "do not belong together"
          ]
        ] as const
      ) {
        fs.writeFileSync(file, text)
        const issues = yield* complaint(own)
        assert.include(issues, sentence)
        assert.notInclude(issues, secret.slice(1))
      }
      // The public half is optional.
      fs.writeFileSync(file, good.replace(/.*public-key.*\n/, ""))
      assert.strictEqual((yield* own).publicKey, keyIn(path.join(keys, "primary.key")))
      fs.rmSync(file)
      assert.include(yield* complaint(own), `cannot read ${file}: there is no such file; bstar keygen`)
    }))

  it.scopedLive("of others that are missing or invalid are issues with a remedy, and the valid ones count", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeyFiles(["alice"])
      const primary = Curve.server(keys, "primary")
      const clients = primary.clients as Accepted
      fs.writeFileSync(path.join(keys, "clients/bad.key"), "nonsense")
      fs.copyFileSync(path.join(keys, "primary.key_secret"), path.join(keys, "clients/secret.key"))
      fs.mkdirSync(path.join(keys, "clients/folder.key"))
      // Neither of these is a key file.
      fs.writeFileSync(path.join(keys, "clients/.hidden.key"), "nonsense")
      fs.writeFileSync(path.join(keys, "clients/README"), "nonsense")
      const issues = yield* complaints(clients)
      assert.include(issues, `bad.key has no line public-key = "..."`)
      assert.include(issues, "secret.key contains a secret key, which does not belong in a public file")
      assert.include(issues, "folder.key is not a file")
      assert.strictEqual(issues.split("\n").length, 3)
      assert.deepStrictEqual(yield* namesOf(clients), ["alice.key"])
      fs.rmSync(path.join(keys, "clients"), { recursive: true })
      fs.rmSync(path.join(keys, "backup.key"))
      const elsewhere = Curve.server(keys, "primary")
      assert.include(yield* complaints(elsewhere.clients as Accepted), `--client NAME adds one`)
      assert.include(yield* complaints(elsewhere.peer), `there is no ${keys}/backup.key, the public key of the backup`)
      assert.include(yield* complaints(Curve.client(yield* directory).servers), "primary.key")
      assert.include(yield* complaints(Curve.client(path.join(keys, "nowhere")).servers), "no such file")
    }))

  it.scopedLive("are read again: added, removed and changed ones count at once", () =>
    Effect.gen(function*() {
      const keys = yield* makeKeyFiles(["alice"])
      const primary = Curve.server(keys, "primary")
      // The change may be seen by the next read only.
      const until = (accepted: Accepted, names: ReadonlyArray<string>) =>
        Effect.repeat(namesOf(accepted), { until: (seen) => seen.join() === names.join() })
      const clients = primary.clients as Accepted
      yield* until(clients, ["alice.key"])
      yield* keygen.member(keys, "client", "bob")
      yield* until(clients, ["alice.key", "bob.key"])
      const bob = keyIn(path.join(keys, "clients/bob.key"))
      fs.renameSync(path.join(keys, "clients/bob.key"), path.join(keys, "clients/alice.key"))
      yield* until(clients, ["alice.key"])
      yield* Effect.repeat(clients, { until: ({ names }) => names.has(bob) })
      yield* keygen.next(keys, "backup")
      yield* until(primary.peer, ["backup.key", "backup.next.key"])
    }))
})
