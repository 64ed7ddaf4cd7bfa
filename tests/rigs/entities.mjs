// The rows that the OData rigs serve, made from their numbers, and what is true of them: counts and exact sums.
import { createHash } from "node:crypto";

const WORDS = ["Müller", "O'Brien", "\"quoted\"", "a, b", "line\nbreak", "emoji 🚢", "", "Łódź", "semi;colon", "tab\tbed"];
const hash = (n) => Math.imul(n ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
const two = (n) => String(n).padStart(2, "0");
const day = (h) => `20${two(15 + (h % 10))}-${two(1 + (h % 12))}-${two(1 + (h % 28))}`;
const money = (h, scale) => (h % 10_000_000) / scale;

export const SETS = {
  Customers: {
    count: 2_000,
    row: (n, h) => ({
      Id: n,
      Guid: `${h.toString(16).padStart(8, "0")}-0000-4000-8000-${String(n).padStart(12, "0")}`,
      Name: `${WORDS[h % WORDS.length]} ${n}`,
      Remark: h % 3 === 0 ? null : WORDS[(h >>> 4) % WORDS.length],
      CreditLimit: h % 7 === 0 ? null : money(h, 10_000),
      Rating: (h % 1000) / 8,
      IsActive: h % 2 === 0,
      CreatedOn: day(h),
    }),
  },
  Orders: {
    count: 20_000,
    row: (n, h) => ({
      Id: n,
      CustomerId: 1 + (h % 2_000),
      Number: `SO-${String(n).padStart(7, "0")}`,
      Total: money(h, 100),
      OrderedAt: `${day(h)}T${two(h % 24)}:${two(h % 60)}:${two((h >>> 8) % 60)}Z`,
      DueOn: h % 5 === 0 ? null : day(h >>> 3),
      IsPaid: h % 3 === 0,
    }),
  },
  OrderLines: {
    count: 60_000,
    row: (n, h) => ({ Id: n, OrderId: 1 + (n % 20_000), Product: WORDS[h % WORDS.length], Quantity: h % 100, Amount: money(h, 10_000) }),
  },
};

export const rowOf = (set, n) => SETS[set].row(n, hash(n));

export const rowsOf = (set) => Array.from({ length: SETS[set].count }, (_, at) => rowOf(set, at + 1));

/** Count, exact sums of the numbers (four places) and how many values are not null, of these rows. */
export function factsOf(rows) {
  const sums = {};
  const nonNull = {};
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      nonNull[name] = (nonNull[name] ?? 0) + (value === null ? 0 : 1);
      // Four places as whole numbers: a sum of doubles would drift.
      if (typeof value === "number") sums[name] = (sums[name] ?? 0n) + BigInt(Math.round(value * 10_000));
    }
  }
  const plain = (sum) => `${sum / 10_000n}.${String(sum % 10_000n).padStart(4, "0")}`;
  return { count: rows.length, sums: Object.fromEntries(Object.entries(sums).map(([n, s]) => [n, plain(s)])), non_null: nonNull };
}

const print = (key, text) => BigInt(`0x${createHash("md5").update(`${key}:${text}`).digest("hex").slice(0, 8)}`);

/** Of every column that is asked for, the sum of its values' prints: 32 bits of a hash of the row's key and the value. */
export function printsOf(rows, key, isAsked, textOf) {
  const sums = {};
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      if (value !== null && isAsked(name, value)) sums[name] = (sums[name] ?? 0n) + print(row[key], textOf(value));
    }
  }
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, `${sum}`]));
}

/** Counts and sums of every set. */
export const truth = () => Object.fromEntries(Object.keys(SETS).map((set) => [set, factsOf(rowsOf(set))]));
