// A process with a member in a worker thread, which ends as its argument states. The process outlives it, and prints that.
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as BinaryStar from "effect-binary-star/BinaryStar"
import * as Handler from "effect-binary-star/Handler"
import * as Zmq from "effect-binary-star/Zmq"
import { isMainThread, parentPort, Worker } from "node:worker_threads"

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url))
  worker.once("message", () => worker.postMessage(process.argv[2]))
  worker.on("error", ({ message }) => console.log(`failed: ${message}`))
  worker.on("exit", (code) => {
    console.log(`exit code ${code}`)
    setTimeout(() => console.log("alive"), 100)
  })
} else {
  const anyPort = "tcp://127.0.0.1:*"
  const options = {
    role: "primary",
    policy: "hardened",
    frontend: anyPort,
    stateEndpoint: anyPort,
    peerEndpoint: "tcp://127.0.0.1:1"
  }
  const member = Layer.provide(BinaryStar.layer(options, Handler.echo), Zmq.layer(options))
  const running = Effect.runFork(
    Effect.flatMap(BinaryStar.BinaryStar, ({ join }) => Effect.zipRight(Effect.sync(() => parentPort.postMessage("up")), join))
      .pipe(Effect.provide(member))
  )
  parentPort.once("message", (end) => {
    switch (end) {
      case "stop":
        return Effect.runFork(Fiber.interrupt(running))
      case "exit":
        return process.exit(0)
      case "throw":
        throw new Error("thrown")
    }
  })
}
