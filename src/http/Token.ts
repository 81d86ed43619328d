/** Whether a text can be the token of an operator: a header can carry nothing else. */
export const isToken = (text: string): boolean => /^[\x21-\x7e]+$/.test(text)

/** The error of any other text, which is not quoted. */
export const tokenMessage = "expected a token of visible ASCII characters without spaces"
