/**
 * A mistake the operator can repair (wrong configuration, a port taken, a missing program). Its message says what
 * is wrong and what to do about it, so it is printed as it stands, without a stack.
 */
export class OperatorError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = 'OperatorError';
    this.exitCode = exitCode;
  }
}
