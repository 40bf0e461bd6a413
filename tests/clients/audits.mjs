// All audits of GraphQL over HTTP. Prints their number.
import assert from "node:assert/strict";
import { auditServer } from "graphql-http";

const [url] = process.argv.slice(2);
const audits = await auditServer({ url });
const failed = audits.filter(({ status }) => status !== "ok").map(({ name, reason }) => `${name}: ${reason}`);
assert.deepEqual(failed, []);
console.log(audits.length);
