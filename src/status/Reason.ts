/** The reason that an operator gave for a transition, unless the message has it already. */
export const unmentionedReason = (
  { message, reason }: { readonly message: string; readonly reason: string | null }
): string | null => reason === null || message.includes(`: ${reason}`) ? null : reason
