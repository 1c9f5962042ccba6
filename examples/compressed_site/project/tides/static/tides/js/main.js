import "./model/check.js";
import { clock, metres } from "../../almanac/js/format.js";
import { drawChart } from "./chart.js";
import { heightAt, turnsOf } from "./model/tide.js";

const now = new Date();
const day = Math.floor(now.getTime() / 86400000);
const hours = now.getHours() + now.getMinutes() / 60;

drawChart(document.getElementById("chart"), (hour) => heightAt(day, hour), hours);
for (const { hour, height, isHigh } of turnsOf(day)) {
  const item = document.createElement("li");
  item.className = isHigh ? "high" : "low";
  item.textContent = `${clock(hour)} ${metres(height)}`;
  document.getElementById("turns").append(item);
}

// Fetched when the rest is done.
const { listFiles } = await import("./files.js");
listFiles(document.getElementById("files"));
document.body.dataset.ready = "true";
