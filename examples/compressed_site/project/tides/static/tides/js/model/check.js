// Imported for what it does: the constants must be such that no tide falls below the chart.
import * as constants from "./constants.js";

const deepest = constants.CONSTITUENTS.reduce((depth, { amplitude }) => depth - amplitude, constants.MEAN);
if (deepest < 0) throw new Error(`The lowest tide is at ${deepest} m`);
