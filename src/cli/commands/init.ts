/**
 * `bstar init [DIR]`: everything that a pair needs: a configuration file, keys, a token and a unit of systemd for each server. An
 * existing file is never overwritten.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import process from "node:process"
import type { Role } from "../../protocol/StateMachine.ts"
import * as keygen from "../../security/Keygen.ts"
import { InvalidConfig } from "../../settings/InvalidConfig.ts"
import { columns, printable, program, shellWord } from "../text.ts"

/** The client whose key is made, too. */
const client = "first"

interface Places {
  readonly config: string
  readonly keys: string
  readonly token: string
  readonly primary: string
  readonly backup: string
}

const placesOf = (directory: string): Places => ({
  config: path.join(directory, "pair.toml"),
  keys: path.join(directory, "keys"),
  token: path.join(directory, "token"),
  primary: path.join(directory, "bstar-primary.service"),
  backup: path.join(directory, "bstar-backup.service")
})

/** A string of TOML, whose basic strings are those of JSON. */
const quoted = (text: string): string => JSON.stringify(text)

const configOf = ({ config, keys, token }: Places): string =>
  `# A Binary Star pair: one file for both servers and their clients. The names are those of the options (bstar --help --all).
# Check it before a restart: bstar config check --config ${config}
#
# The pair runs on one machine as it stands. For two machines, copy this directory to the same place on both, remove
# keys/backup.key_secret from the primary's and keys/primary.key_secret from the backup's, and change the lines marked (2).

# The rules by which a server becomes active. hardened is for production; classic is the Guide's proof of concept.
policy = "hardened"

# Time between two heartbeats. A server that is silent for two of them counts as lost.
heartbeat = "1 second"

# Encryption: only the peer and clients with a key may connect. A key for one more client: bstar keygen ${keys} --client NAME
keys = ${quoted(keys)}

# Commands such as bstar switchover need this token: --token-file ${token}
http-token-file = ${quoted(token)}

# Commands that are run at transitions, for example to move an address.
# on-active = "..."
# on-passive = "..."

[primary]
# Where clients connect, and where this server publishes its state to the other one.
frontend = "tcp://*:5001"
state = "tcp://*:5003"
# (2) The state of the backup, as this machine reaches it: "tcp://backup.example:5004".
peer = "tcp://localhost:5004"
# Status, metrics and the dashboard. (2) Where the other machine reaches it: "0.0.0.0:5011".
http = "127.0.0.1:5011"
# (2) That of the backup: "backup.example:5012".
peer-http = "127.0.0.1:5012"

[backup]
frontend = "tcp://*:5002"
state = "tcp://*:5004"
# (2) "tcp://primary.example:5003"
peer = "tcp://localhost:5003"
# (2) "0.0.0.0:5012"
http = "127.0.0.1:5012"
# (2) "primary.example:5011"
peer-http = "127.0.0.1:5011"

[client]
# (2) ["tcp://primary.example:5001", "tcp://backup.example:5002"]
server = ["tcp://localhost:5001", "tcp://localhost:5002"]
keys = ${quoted(path.join(keys, `client-${client}`))}
`

/** An argument of a command line in a unit. */
const escaped = (argument: string): string => {
  const text = argument.replaceAll("%", "%%").replaceAll("$", "$$$$")
  return /^[\w@%:,./+=$-]+$/.test(text) ? text : JSON.stringify(text)
}

/** The name of the user, or the number of one that has no name, as in a container. */
const user = (): string => {
  try {
    return os.userInfo().username
  } catch {
    return String(process.getuid?.())
  }
}

const unitOf = (role: Role, program: ReadonlyArray<string>, { config }: Places): string =>
  `# systemctl enable --now ${shellWord(config.replace(/pair\.toml$/, `bstar-${role}.service`))}
[Unit]
Description=Binary Star, ${role}
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
# Messages are sent by systemd-notify, which is not the main process.
NotifyAccess=all
WatchdogSec=10
ExecStart=${[...program, `--${role}`, "--config", config].map(escaped).join(" ")}
# It has to be able to read the keys and the token.
User=${user()}
# SIGTERM goes to bstar alone, which ends its hooks itself. TimeoutStopSec exceeds drain and hook-timeout.
KillMode=mixed
TimeoutStopSec=30
# The C library returns memory to the system as soon as it is free.
Environment=MALLOC_TRIM_THRESHOLD_=131072
Restart=on-failure
RestartSec=1
# 3 and 4 need a person, and a restart does not fix 64 and 78.
RestartPreventExitStatus=3 4 64 78

[Install]
WantedBy=multi-user.target
`

const invalid = (message: string) => new InvalidConfig({ issues: [{ field: "", message }] })

const attempt = <A>(file: string, write: () => Promise<A>): Effect.Effect<A, InvalidConfig> =>
  Effect.tryPromise({
    try: write,
    catch: (error) => {
      const { code, message } = error as NodeJS.ErrnoException
      return invalid(
        code === "EEXIST"
          ? `${file} exists already; nothing is overwritten: name another directory`
          : `cannot write ${file}: ${code === "EACCES" ? "permission denied" : message}`
      )
    }
  })

const rejectExisting = (places: Places): Effect.Effect<void, InvalidConfig> =>
  Effect.forEach(Object.values(places) as ReadonlyArray<string>, (file) =>
    Effect.filterOrFail(
      Effect.promise(() => fs.lstat(file).then(() => true, () => false)),
      (exists) => !exists,
      () => invalid(`${file} exists already; nothing is overwritten: name another directory`)
    ), { discard: true })

const write = (file: string, mode: number, text: string) =>
  attempt(file, () => fs.writeFile(file, text, { flag: "wx", mode }))

const absolute = (places: Places): Places =>
  Object.fromEntries(Object.entries(places).map(([name, file]) => [name, path.resolve(file)])) as unknown as Places

export const run = (directory: string): Effect.Effect<void, InvalidConfig> =>
  Effect.gen(function*() {
    const places = placesOf(directory)
    yield* rejectExisting(places)
    yield* attempt(directory, () => fs.mkdir(directory, { recursive: true }))
    const program = [process.execPath, yield* attempt(directory, () => fs.realpath(process.argv[1]!))]
    const where = absolute(places)
    yield* keygen.pair(places.keys)
    yield* keygen.member(places.keys, "client", client)
    yield* write(places.token, 0o600, `${randomBytes(24).toString("base64url")}\n`)
    yield* write(places.config, 0o644, configOf(where))
    yield* write(places.primary, 0o644, unitOf("primary", program, where))
    yield* write(places.backup, 0o644, unitOf("backup", program, where))
    yield* Console.log(summary(places))
  })

const summary = ({ backup, config, keys, primary, token }: Places): string =>
  [
    ...columns([
      [config, "the configuration of both servers and their clients"],
      [keys, `keys of both servers and of a client, ${client}; the files *.key_secret are secret`],
      [token, "the token of the status servers; secret"],
      [primary, "a unit of systemd for the primary"],
      [backup, "a unit of systemd for the backup"]
    ]),
    "",
    "Next, each in a terminal of its own:",
    ...columns([
      [`1. ${program()} -p --config ${shellWord(printable(config))}`, "start the primary"],
      [`2. ${program()} -b --config ${shellWord(printable(config))}`, "start the backup"],
      [
        `3. ${program()} client --config ${shellWord(printable(config))}`,
        "send requests; kill -9 the primary, and watch"
      ]
    ])
  ].join("\n")
