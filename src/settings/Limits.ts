/** What clients may use of a server: the limits of its frontend. */
import * as Schema from "effect/Schema"
import * as Settings from "./Settings.ts"
import { fieldsOf, withDefaults } from "./Validation.ts"

/**
 * Limits as a user gives them. All have defaults.
 *
 * @category models
 */
export interface Options extends Settings.Given<typeof Settings.limits> {}

/**
 * All limits, as a frontend uses them.
 *
 * @category schemas
 */
export const Limits = Schema.Struct(fieldsOf(Settings.limits))

/**
 * All limits, as a frontend uses them.
 *
 * @category models
 */
export interface Limits extends Schema.Schema.Type<typeof Limits> {}

/**
 * The default limits.
 *
 * @category constants
 */
export const standard: Limits = Schema.decodeUnknownSync(Limits)(withDefaults(Settings.limits, {}, {}))
