/** Who may import whom. Arrows point down; nothing imports upwards or in a circle. */
const core = "^src/(BinaryStar|BinaryStarClient|LazyPirate)\\.ts$"
const protocol = "^src/protocol/(StateMachine|Policies|Timing)\\.ts$"
const pureCore = "^src/member/(Member|data|failoverLimit|lifecycle|stall|takeover|transition)\\.ts$"
const model = "^src/verify/(Model|explore|packing|reactions|story)\\.ts$"
const coreSimulation = "^src/verify/(CoreSimulation|core[A-Z][^/]*|challenge|heap)\\.ts$"
const dataPlane = "^src/member/(requests|responder|counters)\\.ts$"
const ports = "^src/(Backend|BinaryStarConfig|BinaryStarError|ClientLink|Frontend|Handler|PeerLink)\\.ts$"
const http =
  "^src/operations/(OperatorClient|StatusServer|events|handlers|listener|orders|pair|peerStatus|requestBody|statusApi)\\.ts$"

module.exports = {
  forbidden: [
    { name: "no-circles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "the-reducer-is-pure",
      comment: "the protocol knows no clock, no socket and no Effect",
      severity: "error",
      from: { path: protocol },
      to: { path: ".", pathNot: protocol }
    },
    {
      name: "only-zeromq-knows-the-binding",
      severity: "error",
      from: { path: "^src", pathNot: "^src/zeromq/" },
      to: { path: "node_modules/zeromq" }
    },
    {
      name: "ports-know-no-member",
      severity: "error",
      from: { path: ports },
      to: { path: [core, "^src/(zeromq|cli)/", "^src/bin\\.ts$"] }
    },
    {
      name: "the-core-knows-no-adapter",
      severity: "error",
      from: { path: core },
      to: { path: "^src/(zeromq|cli)/" }
    },
    {
      name: "the-client-stands-beside-the-member",
      severity: "error",
      from: { path: "^src/(BinaryStarClient|LazyPirate)\\.ts$" },
      to: { path: "^src/BinaryStar\\.ts$" }
    },
    {
      name: "verify-knows-no-adapter",
      comment: "what is verified is the core as it is, over a world made up here",
      severity: "error",
      from: { path: "^src/verify/" },
      to: { path: ["^src/(zeromq|cli)/", "^src/bin\\.ts$"] }
    },
    {
      name: "the-model-asks-the-core",
      comment: "the model checker explores the core that runs, and nothing else",
      severity: "error",
      from: { path: model },
      to: { path: "^src/", pathNot: [model, pureCore, protocol] }
    },
    {
      name: "the-core-simulation-has-no-fibers",
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
          "^src/Frames\\.ts$",
          "^src/verify/(History|Simulation)\\.ts$",
          "node_modules/effect/.*/Exit\\."
        ]
      }
    },
    {
      name: "the-core-is-pure",
      comment: "what a member decides knows no clock, no socket and no Effect",
      severity: "error",
      from: { path: pureCore },
      to: { path: ".", pathNot: [pureCore, protocol] }
    },
    {
      name: "only-commands-use-verify",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(verify|cli)/" },
      to: { path: "^src/verify/" }
    },
    {
      name: "adapters-know-no-commands",
      severity: "error",
      from: { path: "^src/zeromq/" },
      to: { path: "^src/(cli/|bin\\.ts$)" }
    },
    {
      name: "services-know-no-adapter",
      comment: "what runs on a pair needs the core and its ports, whatever they are made of",
      severity: "error",
      from: { path: "^src/service/" },
      to: { path: ["^src/(zeromq|cli|verify)/", "^src/bin\\.ts$"] }
    },
    {
      name: "nothing-below-knows-services",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(service/|cli/|index\\.ts$)" },
      to: { path: "^src/service/" }
    },
    {
      name: "operations-know-no-adapter",
      comment: "what operators see and order is what the core has to say, whatever it runs on",
      severity: "error",
      from: { path: "^src/operations/" },
      to: { path: ["^src/(zeromq|cli|verify|service)/", "^src/bin\\.ts$"] }
    },
    {
      name: "only-commands-use-operations",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(operations|cli)/" },
      to: { path: "^src/operations/" }
    },
    {
      name: "what-is-told-knows-no-http",
      severity: "error",
      from: { path: "^src/operations/", pathNot: http },
      to: { path: http }
    },
    {
      name: "security-knows-no-adapter",
      comment: "keys are files and numbers; only zeromq knows what a socket does with them",
      severity: "error",
      from: { path: "^src/security/" },
      to: { path: ["^src/(zeromq|cli|verify|service|operations)/", "^src/bin\\.ts$"] }
    },
    {
      name: "the-core-knows-no-keys",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(security|zeromq|operations|cli)/" },
      to: { path: "^src/security/" }
    },
    {
      name: "only-the-rpc-protocols-know-rpc",
      comment: "it is an optional peer dependency, so that nothing else may load it",
      severity: "error",
      from: { path: "^src", pathNot: "^src/service/(BinaryStarRpc|rpc[A-Z][^/]*)\\.ts$" },
      to: { path: ["node_modules/@effect/rpc", "^src/service/(BinaryStarRpc|rpc[A-Z][^/]*)\\.ts$"] }
    },
    {
      name: "only-commands-know-the-command-line",
      severity: "error",
      from: { path: "^src", pathNot: "^src/(cli/|bin\\.ts$)" },
      to: { path: "node_modules/@effect/cli" }
    },
    {
      name: "only-operations-know-http",
      severity: "error",
      from: { path: "^src", pathNot: ["^src/(cli/|bin\\.ts$)", http] },
      to: { path: "node_modules/@effect/platform" }
    },
    {
      name: "nobody-imports-the-program",
      severity: "error",
      from: {},
      to: { path: "^src/bin\\.ts$" }
    }
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node"] }
  }
}
