/** Warnings of commands, the same in the terminal and on the page. */

/** What an operator takes on by a promotion without the witness. */
export const withoutWitness =
  "you answer for the witness and the other server: it does not serve now, and nobody starts it until the witness answers. " +
  "If that is wrong, both serve"
