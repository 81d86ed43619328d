/**
 * Who may import whom: one matrix. A room imports itself and the rooms of its row; `node_modules` are listed beside them.
 * Across rooms only PascalCase files are imported: camelCase files are private to their room.
 */
const rooms = {
  protocol: [],
  wire: ["protocol"],
  settings: ["protocol", "wire"],
  internal: [],
  ports: ["protocol", "wire", "internal"],
  member: ["protocol", "wire", "settings", "internal", "ports"],
  client: ["protocol", "wire", "settings", "internal", "ports"],
  rpc: ["protocol", "wire", "settings", "internal", "ports", "member", "client"],
  proxy: ["protocol", "wire", "settings", "internal", "ports", "member"],
  command: ["protocol", "wire", "settings", "internal", "ports", "member"],
  security: ["protocol", "settings", "internal"],
  zeromq: ["protocol", "wire", "settings", "internal", "ports", "security"],
  witness: ["protocol", "wire", "settings", "internal", "ports"],
  fence: ["protocol", "member", "witness"],
  status: ["protocol", "wire", "settings", "internal", "ports", "member", "security"],
  dashboard: ["protocol", "wire", "status"],
  http: ["protocol", "wire", "settings", "internal", "ports", "member", "security", "status", "dashboard"],
  verify: ["protocol", "wire", "settings", "internal", "ports", "member", "client"],
  cli: [
    "protocol", "wire", "settings", "internal", "ports", "member", "client", "rpc", "proxy", "command", "security",
    "zeromq", "witness", "status", "http", "verify"
  ]
}

/** Packages that only these rooms load. */
const packages = {
  "zeromq": ["zeromq"],
  "@effect/rpc": ["rpc"],
  "@effect/cli": ["cli"],
  "@effect/platform": ["http", "witness", "fence", "cli"],
  "@effect/platform-node": ["http", "cli"],
  "@effect/sql": ["witness", "fence"],
  "@effect/sql-pg": ["cli"],
  "pg": ["cli"],
  "msgpackr": ["rpc"]
}

const anyOf = (names) => `(${names.join("|")})`

const protocol = "^src/protocol/"
const pureCore = "^src/member/(Member|data|Dialogue|failoverLimit|identity|lifecycle|question|stall|takeover|transition|witnessed|wrongPeer|askWitness|claimRight|holdRights)\\.ts$"
const dataPlane = "^src/member/(Requests|Responder|Counters)\\.ts$"
const tables = "^src/(rpc/(serverCalls|clientCalls|sendBuffer)|proxy/requestTable)\\.ts$"
const model = "^src/verify/model/"
const coreSimulation = "^src/verify/simulation/(CoreSimulation|CoreWitness|core[A-Z][^/]*|challenge|heap)\\.ts$"

module.exports = {
  forbidden: [
    { name: "no-circles", severity: "error", from: {}, to: { circular: true } },
    ...Object.entries(rooms).map(([room, imports]) => ({
      name: `matrix-${room}`,
      severity: "error",
      from: { path: `^src/${room}/` },
      to: { path: "^src/", pathNot: `^src/${anyOf([room, ...imports])}/` }
    })),
    ...Object.keys(rooms).map((room) => ({
      name: `private-to-${room}`,
      comment: "camelCase files are private to their room",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/${room}/` },
      to: { path: [`^src/${room}/[a-z][^/]*\\.ts$`, `^src/${room}/[a-z]+/[a-z][^/]*\\.ts$`] }
    })),
    ...Object.entries(packages).map(([name, allowed]) => ({
      name: `package-${name.replace(/\W/g, "-")}`,
      severity: "error",
      from: { path: "^src/", pathNot: `^src/${anyOf(allowed)}/` },
      to: { path: `node_modules/${name}/` }
    })),
    {
      name: "protocol-is-pure",
      comment: "the protocol knows no clock, no socket and no Effect",
      severity: "error",
      from: { path: protocol },
      to: { path: ".", pathNot: protocol }
    },
    {
      name: "core-is-pure",
      comment: "what a member decides knows no clock, no socket and no Effect",
      severity: "error",
      from: { path: pureCore },
      to: { path: ".", pathNot: [pureCore, protocol] }
    },
    {
      name: "model-drives-the-core",
      comment: "the model checker explores the core that runs, and nothing else",
      severity: "error",
      from: { path: model },
      to: { path: "^src/", pathNot: [model, pureCore, protocol] }
    },
    {
      name: "core-simulation-has-no-fibers",
      comment: "it drives the core and the data plane in a plain loop",
      severity: "error",
      from: { path: coreSimulation },
      to: {
        path: ["^src/", "node_modules/effect/"],
        pathNot: [
          coreSimulation,
          pureCore,
          protocol,
          dataPlane,
          "^src/wire/Frames\\.ts$",
          "^src/verify/simulation/(History|Report)\\.ts$",
          "node_modules/effect/.*/Exit\\."
        ]
      }
    },
    {
      name: "rpc-is-optional",
      comment: "@effect/rpc is an optional peer dependency: only what the user imports for it may load it",
      severity: "error",
      from: { path: "^src/rpc/Contract\\.ts$" },
      to: { path: ["node_modules/@effect/rpc", "^src/rpc/(?!Contract)"] }
    },
    {
      name: "tables-are-pure",
      comment: "what a session decides knows no clock, no socket and no Effect",
      severity: "error",
      from: { path: tables },
      to: { path: ".", pathNot: [tables, "^src/rpc/controlFrame\\.ts$", "^src/wire/Frames\\.ts$", "^src/internal/LinkedList\\.ts$"], dependencyTypesNot: ["type-only"] }
    },
    { name: "program-is-a-leaf", severity: "error", from: {}, to: { path: "^src/bin\\.ts$" } }
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node"] }
  }
}
