"use strict";
// The echo server, with a function that queues itself for ever beside it.
function spin() { setImmediate(spin); }

spin();
require("./echo.js");
