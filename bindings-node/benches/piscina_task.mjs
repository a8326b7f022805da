// The work of the processor's row, as piscina loads it in its threads.
export default async (n) => n;
