// A failure that a page shows. `retriable`: the same request may succeed later. `result`: of a mutation that failed.
export class ApiError extends Error {
  constructor(message, { code = "", retriable = false, result = null } = {}) {
    super(message);
    this.code = code;
    this.retriable = retriable;
    this.result = result;
  }
}
