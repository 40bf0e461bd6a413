// A failure that a page shows. `retriable`: the same request may succeed later.
export class ApiError extends Error {
  constructor(message, { code = "", retriable = false } = {}) {
    super(message);
    this.code = code;
    this.retriable = retriable;
  }
}
