import { assert, it } from "@effect/vitest"
import { RequestError } from "../../src/client/RequestError.ts"

it.each(
  [
    ["NoReply", 1, "no reply from tcp://a:1 or tcp://b:1 after 1 attempt"],
    ["NoReply", 2, "no reply from tcp://a:1 or tcp://b:1 after 2 attempts"],
    [
      "Unanswered",
      1,
      "sent to tcp://a:1 or tcp://b:1, which has not replied; it may have been executed, and must not be resent"
    ],
    ["Busy", 1, "sent to tcp://a:1 or tcp://b:1, which is busy and has rejected it"]
  ] as const
)("the message of %s after %i attempts names the servers", (reason, attempts, message) => {
  assert.strictEqual(new RequestError({ reason, servers: ["tcp://a:1", "tcp://b:1"], attempts }).message, message)
})
