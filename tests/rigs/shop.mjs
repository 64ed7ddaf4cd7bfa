// Rows and truth of the shop (shop.json). shop.py is the same in Python; the self-test compares the two.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export const shop = JSON.parse(readFileSync(new URL('shop.json', import.meta.url), 'utf8'));

function hash(n, salt) {
  let x = (Math.imul(n, 0x9e3779b1) ^ Math.imul(salt, 0x85ebca6b)) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0;
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

const hex = (x) => x.toString(16).padStart(8, '0');

export function decimal(units) {
  const digits = (units < 0n ? -units : units).toString().padStart(5, '0');
  return `${units < 0n ? '-' : ''}${digits.slice(0, -4)}.${digits.slice(-4)}`;
}

const rules = {
  key: (n, h, column, set) => BigInt(set.first + set.step * n),
  ref: (n, h, column, set, size) => {
    const target = shop.sets[column.of];
    return BigInt(target.first + target.step * (h % target.rows[size]));
  },
  small: (n) => BigInt(1 + (n % 3)),
  // Above 2^53, where a reader that goes through a double lands on a neighbour.
  stamp: (n) => 9007199254740993n + 7n * BigInt(n),
  name: (n, h) => `${shop.texts[h % shop.texts.length] ?? 'Ünnamed'} ${n}`,
  text: (n, h) => shop.texts[h % shop.texts.length],
  // In ten-thousandths. Each 97th needs all 19 digits, which no double holds.
  money: (n, h) => {
    const units = n % 97 === 96 ? 9007199254740993000n + BigInt(h % 1000) : BigInt(h % 1_000_000_000);
    return n % 5 === 0 ? -units : units;
  },
  // Multiples of 1/8, so that sums are exact in any order.
  eighths: (n, h) => ((h % 80_000) - 8_000) / 8,
  flag: (n, h) => h % 3 !== 0,
  // Days since 1970, from 1960 to 2020, and the "never" date that business software likes.
  day: (n, h) => (n % 500 === 499 ? 2932896 : (h % 22_000) - 3653),
  // Milliseconds since 1970; whole seconds where the spelling below has no fraction.
  moment: (n, h) => 1420070400000 + (h % 300_000_000) * 1000 + (n % 3 === 1 ? 0 : (h % 8) * 125),
  guid: (n, h, column) => {
    const s = hex(h) + hex(hash(n, h ^ 1)) + hex(hash(n, h ^ 2)) + hex(hash(n, h ^ 3));
    return `${s.slice(0, 8)}-${s.slice(8, 12)}-${s.slice(12, 16)}-${s.slice(16, 20)}-${s.slice(20)}`;
  },
};

/** All rows of a set: one object per row, values as the rules make them. */
export function rows(name, size) {
  const set = shop.sets[name];
  const out = [];
  for (let n = 0; n < set.rows[size]; n += 1) {
    const row = {};
    set.columns.forEach((column, i) => {
      const isNull = column.nullable && hash(n, i + 101) % 7 === 3;
      row[column.name] = isNull ? null : rules[column.rule](n, hash(n, i + 1), column, set, size);
    });
    out.push(row);
  }
  return out;
}

/** How OData v4 writes a value. Moments are spelled in three legal ways on purpose. */
export function spell(type, value, n) {
  if (value === null) return null;
  if (type === 'Decimal') return decimal(value);
  if (type === 'Int64') return value.toString();
  if (type === 'Int32') return Number(value);
  if (type === 'Date') return new Date(value * 86_400_000).toISOString().slice(0, 10);
  if (type === 'DateTimeOffset') {
    if (n % 3 === 0) return new Date(value).toISOString();
    if (n % 3 === 1) return new Date(value).toISOString().replace('.000', '');
    return new Date(value + 3_600_000).toISOString().replace('Z', '+01:00');
  }
  return value;
}

function canonical(type, value) {
  if (value === null) return '\u2400';
  if (type === 'Decimal') return decimal(value);
  if (type === 'Double') return String(value * 8);
  if (type === 'Date') return new Date(value * 86_400_000).toISOString().slice(0, 10);
  return String(value);
}

const sha256 = (text) => createHash('sha256').update(text, 'utf8').digest('hex');

function sum(type, values) {
  if (type === 'Double') return String(values.reduce((a, b) => a + b, 0));
  const total = values.reduce((a, b) => a + b, 0n);
  return type === 'Decimal' ? decimal(total) : total.toString();
}

/** What a correct copy must add up to; README.md says how each figure is formed. */
export function truth(size) {
  return Object.fromEntries(Object.entries(shop.sets).map(([name, set]) => {
    const all = rows(name, size);
    const key = set.columns[0].name;
    const columns = Object.fromEntries(set.columns.map((column) => {
      const values = all.map((row) => row[column.name]);
      const present = values.filter((value) => value !== null);
      const facts = { type: `Edm.${column.type}`, non_null: present.length };
      if (/Int|Decimal|Double/.test(column.type)) facts.sum = sum(column.type, present);
      if (/Date/.test(column.type)) {
        const spelled = present.map((value) => (column.type === 'Date'
          ? canonical('Date', value) : new Date(value).toISOString()));
        spelled.sort();
        [facts.min] = spelled;
        facts.max = spelled.at(-1);
      }
      facts.sha256 = sha256(values.map((value) => canonical(column.type, value)).join('\u001e'));
      return [column.name, facts];
    }));
    const ids = all.map((row) => `${row[key]}\n`).join('');
    return [name, { key, count: all.length, ids_sha256: sha256(ids), columns }];
  }));
}
