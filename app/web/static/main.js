// The start of the web app: the frame, the session of this browser, and the page of the address.

import { frame } from "./core/frame.js";
import { start } from "./core/router.js";

start(frame());
