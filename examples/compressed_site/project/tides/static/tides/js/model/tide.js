import { CONSTITUENTS, MEAN } from "./constants.js";

export { MEAN } from "./constants.js";

export function heightAt(day, hour) {
  const since = (day % 3653) * 24 + hour;
  return CONSTITUENTS.reduce(
    (sum, { period, amplitude }) => sum + amplitude * Math.cos((2 * Math.PI * since) / period),
    MEAN,
  );
}

export function turnsOf(day) {
  const turns = [];
  const step = 1 / 12;
  for (let hour = 0; hour < 24; hour += step) {
    const [before, height, after] = [hour - step, hour, hour + step].map((at) => heightAt(day, at));
    if ((height - before) * (after - height) <= 0) turns.push({ hour, height, isHigh: height > before });
  }
  return turns;
}
