/**
 * What went wrong through no fault of the server, in a form that a client can act on. The schema's edge turns it into a
 * GraphQL error; anything else that is thrown becomes a masked server error.
 */
export type ApiErrorCode =
  | 'BAD_USER_INPUT'
  | 'FORBIDDEN'
  | 'INVALID_POSITION'
  | 'INVALID_RECEIPT'
  | 'NOT_FOUND'
  | 'SLOW_CONSUMER'
  | 'TOO_MANY'
  | 'UNAUTHENTICATED'
  | 'UNAVAILABLE';

export class ApiError extends Error {
  readonly code: ApiErrorCode;
  /** More for the client: shown among the error's extensions. */
  readonly details: Record<string, unknown>;

  constructor(code: ApiErrorCode, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.details = details;
  }
}

export function badInput(message: string, details?: Record<string, unknown>): ApiError {
  return new ApiError('BAD_USER_INPUT', message, details);
}
