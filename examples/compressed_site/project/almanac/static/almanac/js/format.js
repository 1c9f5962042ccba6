// For modules of every app.
export const clock = (hours) => {
  const minutes = Math.round(hours * 60);
  return [Math.floor(minutes / 60) % 24, minutes % 60].map((part) => String(part).padStart(2, "0")).join(":");
};

export const metres = (height) => `${height.toFixed(1)} m`;
