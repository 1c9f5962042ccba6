// Two of the constituents that real tides are made of: period in hours, amplitude in metres.
export const CONSTITUENTS = [
  { period: 12.4206, amplitude: 1.9 },
  { period: 12, amplitude: 0.6 },
];

export const MEAN = 2.6;
