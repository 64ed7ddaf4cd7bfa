// A small evaluator of M over the tree of Microsoft's parser: what haul's queries need, and nothing that it would have to
// guess. A node or a function that it does not know ends it.
//
// What it proves and what not. It proves the logic of the queries: which requests they make, in which order, with which
// fields, what they make of the answers and of errors. It does not prove Microsoft's engine: not its caches, its parallel
// reads, its retries and how often it asks for one file (here once, and again when bytes are read again that nothing
// buffered), not query folding, not the formula firewall and privacy levels, not what its Parquet and CSV readers do with
// odd files (a text of CSV is never null here, quoted or not), not cultures other than en-US, not its memory and time.
// That 401 and 403 end a query past every `try` is what Microsoft's reference says; here it is so by construction. Numbers
// are doubles, beyond 2^53 whole numbers of any size, so that decimals of more than 15 digits are compared as doubles;
// texts are compared by code unit.
import { MError, Func, Later, Moment, Rec, Table, Type, Unknown, WithMeta, Duration, expressionError, force, isEqual, isOf, kindOf, order, plain } from "./values.mjs";
import { nameOf, textOf } from "./language.mjs";

/** Names and their values. `without` is the name whose own value is being made: it is not in its own scope. */
class Scope {
  constructor(names, above, without) {
    Object.assign(this, { names, above, without });
  }

  find(name, isInclusive) {
    for (let scope = this; scope; scope = scope.above) {
      if (scope.names.has(name) && (isInclusive || scope.without !== name)) return force(scope.names.get(name));
    }
    // The engine refuses the whole document then, before anything runs: no `try` may hide it.
    throw new Unknown(`the name '${name}'`);
  }
}

const elements = (wrapper) => wrapper.content.elements.map((element) => element.node);

export function primitive(node) {
  if (node.kind === "NullablePrimitiveType") return new Type(node.paired.primitiveTypeKind, { isNullable: true });
  if (node.kind === "PrimitiveType") return new Type(node.primitiveTypeKind, { isNullable: node.primitiveTypeKind === "any" });
  throw new Unknown(`a type made of ${node.kind}`);
}

function logical(value) {
  const seen = plain(value);
  if (typeof seen !== "boolean") throw expressionError(`We cannot convert the value ${seen} to type Logical.`);
  return seen;
}

/** Members of a let, a record or a section: each sees the others, and itself only with `@`. */
function bind(pairs, scope) {
  const names = new Map();
  for (const pair of pairs) {
    const name = nameOf(pair.key.literal);
    if (names.has(name)) throw expressionError(`The name '${name}' is used twice.`);
    const own = new Scope(names, scope, name);
    names.set(name, new Later(() => run(pair.value, own)));
  }
  return names;
}

export function sectionOf(tree, globals) {
  const pairs = tree.sectionMembers.elements.map((member) => member.namePairedExpression);
  return bind(pairs, new Scope(globals));
}

const NODES = {
  LiteralExpression(node) {
    if (node.literalKind === "Text") return textOf(node.literal);
    if (node.literalKind === "Null") return null;
    if (node.literalKind === "Logical") return node.literal === "true";
    const value = Number(node.literal);
    return Number.isSafeInteger(value) || !/^\d+$/.test(node.literal) ? value : BigInt(node.literal);
  },
  ParenthesizedExpression: (node, scope) => run(node.content, scope),
  IdentifierExpression: (node, scope) => scope.find(nameOf(node.identifier.literal), node.inclusiveConstant !== undefined),
  LetExpression(node, scope) {
    const names = bind(node.variableList.elements.map((element) => element.node), scope);
    return run(node.expression, new Scope(names, scope));
  },
  RecordExpression: (node, scope) => new Rec(bind(elements(node), scope)),
  ListExpression(node, scope) {
    return elements(node).flatMap((one) => {
      if (one.kind !== "RangeExpression") return [new Later(() => run(one, scope))];
      const [from, to] = [plain(run(one.left, scope)), plain(run(one.right, scope))];
      if (typeof from !== "number" || typeof to !== "number") throw new Unknown("a range of other things than numbers");
      return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
    });
  },
  IfExpression: (node, scope) => run(logical(run(node.condition, scope)) ? node.trueExpression : node.falseExpression, scope),
  FunctionExpression(node, scope) {
    const parameters = node.parameters.content.elements.map(({ node: one }) => ({
      name: nameOf(one.name.literal),
      optional: one.optionalConstant !== undefined,
      type: one.parameterType === undefined ? new Type("any") : primitive(one.parameterType.paired),
    }));
    const returned = node.functionReturnType === undefined ? undefined : primitive(node.functionReturnType.paired);
    return new Func(parameters, (args) => {
      const given = parameters.map(({ name, optional, type }, index) => {
        const value = index < args.length ? args[index] : null;
        const isLeftOut = optional && index >= args.length;
        if (type.kind !== "any" && !isLeftOut) converted(plain(value), optional ? new Type(type.kind, { isNullable: true }) : type);
        return [name, value];
      });
      const value = run(node.expression, new Scope(new Map(given), scope));
      return returned ? converted(plain(value), returned) : value;
    });
  },
  EachExpression(node, scope) {
    return new Func([{ name: "_", optional: false }], ([value]) => run(node.paired, new Scope(new Map([["_", value]]), scope)));
  },
  RecursivePrimaryExpression(node, scope) {
    let value = run(node.head, scope);
    for (const step of node.recursiveExpressions.elements) value = follow(step, value, scope);
    return value;
  },
  FieldSelector: (node, scope) => follow(node, scope.find("_", false), scope),
  FieldProjection: (node, scope) => follow(node, scope.find("_", false), scope),
  MetadataExpression(node, scope) {
    const [value, meta] = [run(node.left, scope), plain(run(node.right, scope))];
    return new WithMeta(plain(value), meta);
  },
  ErrorRaisingExpression(node, scope) {
    const said = plain(run(node.paired, scope));
    if (typeof said === "string") throw new MError("Expression.Error", said);
    if (!(said instanceof Rec)) throw expressionError("An error is raised with a text or a record.");
    const field = (name) => (said.fields.has(name) ? plain(said.get(name)) : null);
    throw new MError(field("Reason") ?? "Expression.Error", field("Message") ?? "", field("Detail"));
  },
  ErrorHandlingExpression(node, scope) {
    try {
      const value = run(node.protectedExpression, scope);
      return node.handler === undefined ? Rec.of({ HasError: false, Value: value }) : value;
    } catch (error) {
      if (!(error instanceof MError)) throw error;
      const told = Rec.of({ Reason: error.reason, Message: error.message, Detail: error.detail });
      if (node.handler === undefined) return Rec.of({ HasError: true, Error: told });
      if (node.handlerKind === "Otherwise") return run(node.handler.paired, scope);
      const handler = run(node.handler.paired, scope);
      return handler.invoke(handler.parameters.length === 0 ? [] : [told]);
    }
  },
  NullCoalescingExpression: (node, scope) => plain(run(node.left, scope)) ?? run(node.right, scope),
  LogicalExpression(node, scope) {
    const isAnd = node.operatorConstant.constantKind === "and";
    const left = plain(run(node.left, scope));
    if (left !== null && logical(left) !== isAnd) return !isAnd;
    const right = plain(run(node.right, scope));
    if (right === null || left === null) return right !== null && logical(right) !== isAnd ? !isAnd : null;
    return logical(right);
  },
  EqualityExpression(node, scope) {
    const same = isEqual(run(node.left, scope), run(node.right, scope));
    return node.operatorConstant.constantKind === "=" ? same : !same;
  },
  RelationalExpression(node, scope) {
    const [left, right] = [plain(run(node.left, scope)), plain(run(node.right, scope))];
    if (left === null || right === null) return null;
    const sign = order(left, right);
    return { "<": sign < 0, "<=": sign <= 0, ">": sign > 0, ">=": sign >= 0 }[node.operatorConstant.constantKind];
  },
  IsExpression: (node, scope) => isOf(plain(run(node.left, scope)), primitive(node.right)),
  AsExpression: (node, scope) => converted(plain(run(node.left, scope)), primitive(node.right)),
  ArithmeticExpression(node, scope) {
    return arithmetic(node.operatorConstant.constantKind, plain(run(node.left, scope)), plain(run(node.right, scope)));
  },
  UnaryExpression(node, scope) {
    let value = plain(run(node.typeExpression, scope));
    for (const { constantKind } of [...node.operators.elements].reverse()) {
      if (constantKind === "not") value = value === null ? null : !logical(value);
      else if (kindOf(value) !== "number") throw expressionError(`We cannot apply operator ${constantKind} to type ${kindOf(value)}.`);
      else value = constantKind === "-" ? -value : value;
    }
    return value;
  },
  TypePrimaryType: (node, scope) => typeOf(node.paired, scope),
};

/** Checks that a value is of a type, as `as` and parameters do. */
function converted(value, type) {
  if (!isOf(value, type)) throw expressionError(`We cannot convert a value of type ${kindOf(value)} to type ${type.name}.`);
  return value;
}

function typeOf(node, scope) {
  if (node.kind === "PrimitiveType") return primitive(node);
  if (node.kind === "NullableType") return new Type(typeOf(node.paired, scope).kind, { isNullable: true, name: typeOf(node.paired, scope).name });
  if (node.kind === "TableType") {
    if (node.rowType.kind !== "FieldSpecificationList") throw new Unknown("a type of tables that is not written out");
    const columns = elements(node.rowType).map((field) => ({
      name: nameOf(field.name.literal),
      type: field.fieldTypeSpecification ? typeOf(field.fieldTypeSpecification.fieldType, scope) : new Type("any"),
    }));
    return new Type("table", { columns });
  }
  const value = plain(run(node, scope));
  if (!(value instanceof Type)) throw new Unknown(`a type made of ${node.kind}`);
  return value;
}

function follow(step, target, scope) {
  if (step.kind === "InvokeExpression") {
    const called = plain(target);
    if (!(called instanceof Func)) throw expressionError(`We cannot convert a value of type ${kindOf(called)} to type Function.`);
    return force(called.invoke(elements(step).map((argument) => new Later(() => run(argument, scope)))));
  }
  const value = plain(target);
  const isOptional = step.optionalConstant !== undefined;
  if (value === null && isOptional) return null;
  if (step.kind === "FieldSelector") {
    const name = nameOf(step.content.literal);
    if (value instanceof Table) {
      if (isOptional && !value.columns.some((column) => column.name === name)) return null;
      return value.columnOf(name);
    }
    if (!(value instanceof Rec)) throw expressionError(`We cannot apply field access to the type ${kindOf(value)}.`);
    return isOptional && !value.fields.has(name) ? null : value.get(name);
  }
  if (step.kind === "FieldProjection") {
    if (!(value instanceof Rec)) throw new Unknown("a projection of something other than a record");
    const names = elements(step).map((selector) => nameOf(selector.content.literal));
    return new Rec(new Map(names.map((name) => [name, isOptional && !value.fields.has(name) ? null : value.get(name)])));
  }
  if (step.kind === "ItemAccessExpression") {
    const at = plain(run(step.content, scope));
    if (value instanceof Table && at instanceof Rec) {
      const found = value.rows.map((_, index) => value.row(index)).filter((row) => [...at.fields].every(([name, one]) => isEqual(row.get(name), one)));
      if (found.length === 1) return found[0];
      if (found.length === 0 && isOptional) return null;
      throw expressionError(found.length === 0 ? "The key didn't match any rows in the table." : "The key matched more than one row in the table.");
    }
    const length = value instanceof Table ? value.rows.length : Array.isArray(value) ? value.length : undefined;
    if (length === undefined) throw expressionError(`We cannot apply item access to the type ${kindOf(value)}.`);
    if (typeof at !== "number" || at < 0) throw expressionError("An item is chosen by a number from 0.");
    if (at >= length) {
      if (isOptional) return null;
      throw expressionError("There weren't enough elements in the enumeration to complete the operation.");
    }
    return value instanceof Table ? value.row(at) : force(value[at]);
  }
  throw new Unknown(`the evaluator does not know ${step.kind}`);
}

export function combined(tables) {
  const columns = [];
  for (const table of tables) for (const column of table.columns) if (!columns.some(({ name }) => name === column.name)) columns.push(column);
  const rows = tables.flatMap((table) => {
    const at = columns.map(({ name }) => table.columns.findIndex((column) => column.name === name));
    return table.rows.map((row) => at.map((index) => (index < 0 ? null : row[index])));
  });
  return new Table(columns, rows);
}

function arithmetic(operator, left, right) {
  const kinds = `${kindOf(left)} ${operator} ${kindOf(right)}`;
  if (operator === "&") {
    if (Array.isArray(left) && Array.isArray(right)) return [...left, ...right];
    if (left instanceof Rec && right instanceof Rec) return new Rec(new Map([...left.fields, ...right.fields]));
    if (left instanceof Table && right instanceof Table) return combined([left, right]);
    if (left === null || right === null) return null;
    if (typeof left === "string" && typeof right === "string") return left + right;
    throw expressionError(`We cannot apply operator & to types ${kindOf(left)} and ${kindOf(right)}.`);
  }
  if (left === null || right === null) return null;
  if (kinds === `number ${operator} number`) {
    const [a, b] = typeof left === "bigint" || typeof right === "bigint" ? [BigInt(left), BigInt(right)] : [left, right];
    if (operator === "/") return Number(a) / Number(b);
    return operator === "+" ? a + b : operator === "-" ? a - b : a * b;
  }
  const sign = operator === "-" ? -1n : 1n;
  if (left instanceof Moment && right instanceof Duration && "+-".includes(operator)) return new Moment(left.kind, left.micros + sign * right.micros, left.offset);
  if (left instanceof Moment && right instanceof Moment && operator === "-" && left.kind === right.kind) return new Duration(left.key - right.key);
  if (left instanceof Duration && right instanceof Duration && "+-".includes(operator)) return new Duration(left.micros + sign * right.micros);
  throw expressionError(`We cannot apply operator ${kinds}.`);
}

export function run(node, scope) {
  const known = NODES[node.kind];
  if (!known) throw new Unknown(`the evaluator does not know ${node.kind}`);
  return force(known(node, scope));
}
