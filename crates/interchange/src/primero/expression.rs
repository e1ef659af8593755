//! Primero's expressions: `{"eq":{"sex":"male"}}`, `{"and":[…]}`, `{"sum":["a","b"]}`.

use serde_json::{Map, Value as Json};
use vereda_records::{
    Condition, Decimal,
    arithmetic::{Arithmetic, Calculation},
    condition::{Comparison, Literal},
    limits::MAX_EXPRESSION_DEPTH,
};

use super::reader::literal;

/// What a condition of the source says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing: null, or empty.
    Nothing,
    /// A condition, switched off.
    Disabled,
    /// A condition.
    Condition(Condition),
    /// Something else.
    Unknown,
}

/// Reads a condition. Besides expressions, Primero writes `{"field": value}` for equality and lists for conjunctions.
pub(super) fn condition(json: Option<&Json>) -> Found {
    match json {
        None | Some(Json::Null) => Found::Nothing,
        Some(Json::Array(list)) if list.is_empty() => Found::Nothing,
        Some(Json::Object(map)) if map.is_empty() => Found::Nothing,
        Some(Json::Object(map)) if map.get("disabled") == Some(&Json::Bool(true)) => Found::Disabled,
        Some(json) => parse(json, MAX_EXPRESSION_DEPTH).map_or(Found::Unknown, Found::Condition),
    }
}

/// Reads a calculation: an expression, or an object that holds one under `expression`.
pub(super) fn calculation(json: &Json) -> Option<Calculation> {
    let tree = match json.as_object()?.get("expression") {
        Some(tree) if json.as_object()?.len() == 1 => tree,
        Some(_) => return None,
        None => json,
    };
    let mut decimals = None;
    let expression = arithmetic(tree, &mut decimals, MAX_EXPRESSION_DEPTH)?;
    Some(Calculation { expression, decimals })
}

fn parse(json: &Json, depth: usize) -> Option<Condition> {
    let depth = depth.checked_sub(1)?;
    let map = match json {
        Json::Object(map) => map,
        Json::Array(list) => {
            return Some(Condition::And(list.iter().map(|one| parse(one, depth)).collect::<Option<_>>()?));
        }
        _ => return None,
    };
    let mut pairs = map.iter().filter(|(key, value)| !(*key == "disabled" && value.is_boolean()));
    let (operator, operand) = pairs.next()?;
    if pairs.next().is_some() {
        return None;
    }
    let compare = || comparison(operand.as_object()?);
    let inner = || operand.as_array()?.iter().map(|one| parse(one, depth)).collect::<Option<Vec<_>>>();
    Some(match operator.as_str() {
        "eq" => Condition::Eq(compare()?),
        "gt" => Condition::Gt(compare()?),
        "ge" => Condition::Ge(compare()?),
        "lt" => Condition::Lt(compare()?),
        "le" => Condition::Le(compare()?),
        "in" => Condition::In(compare().filter(|one| matches!(one.value, Literal::List(_)))?),
        "and" => Condition::And(inner()?),
        "or" => Condition::Or(inner()?),
        "not" => Condition::Not(Box::new(parse(operand, depth)?)),
        field => Condition::Eq(Comparison { field: field.to_owned(), value: literal(operand)? }),
    })
}

fn comparison(map: &Map<String, Json>) -> Option<Comparison> {
    let mut pairs = map.iter();
    let (field, value) = pairs.next()?;
    if pairs.next().is_some() {
        return None;
    }
    Some(Comparison { field: field.clone(), value: literal(value)? })
}

/// Reads `{"sum": […]}` and `{"avg": […]}`, where the operands may also stand under `data` with `extra.decimalPlaces`.
fn arithmetic(json: &Json, decimals: &mut Option<u8>, depth: usize) -> Option<Arithmetic> {
    let depth = depth.checked_sub(1)?;
    match json {
        Json::String(field) => return Some(Arithmetic::Field(field.clone())),
        Json::Number(number) => return Some(Arithmetic::Constant(number.to_string().parse::<Decimal>().ok()?)),
        Json::Object(map) if map.len() == 1 => {}
        _ => return None,
    }
    let (operator, operand) = json.as_object()?.iter().next()?;
    let list = match operand {
        Json::Array(list) => list,
        Json::Object(map) => {
            let extra = map.get("extra").filter(|extra| !extra.is_null());
            if let Some(extra) = extra {
                let extra = extra.as_object().filter(|extra| extra.keys().all(|key| key == "decimalPlaces"))?;
                if let Some(places) = extra.get("decimalPlaces") {
                    *decimals = Some(u8::try_from(places.as_u64()?).ok().filter(|places| *places <= 9)?);
                }
            }
            if map.keys().any(|key| key != "data" && key != "extra") {
                return None;
            }
            map.get("data")?.as_array()?
        }
        _ => return None,
    };
    let operands: Option<Vec<Arithmetic>> = list.iter().map(|one| arithmetic(one, decimals, depth)).collect();
    match operator.as_str() {
        "sum" => Some(Arithmetic::Sum(operands?)),
        "avg" => Some(Arithmetic::Avg(operands?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_become_our_own() {
        let check = |primero: Json, ours: Json| {
            let expected = serde_json::from_value(ours).unwrap();
            assert_eq!(condition(Some(&primero)), Found::Condition(expected), "{primero}");
        };
        check(json!({"eq": {"sex": "male"}}), json!({"eq": {"field": "sex", "value": "male"}}));
        check(json!({"sex": "male"}), json!({"eq": {"field": "sex", "value": "male"}}));
        check(json!({"disabled": false, "gt": {"a": 1.5}}), json!({"gt": {"field": "a", "value": "1.5"}}));
        check(
            json!({"and": [{"in": {"a": ["x"]}}, {"not": {"le": {"b": 3}}}]}),
            json!({"and": [{"in": {"field": "a", "value": ["x"]}}, {"not": {"le": {"field": "b", "value": 3}}}]}),
        );
        check(json!([{"a": true}]), json!({"and": [{"eq": {"field": "a", "value": true}}]}));
    }

    #[test]
    fn what_is_no_expression_is_said_to_be_none() {
        let check = |primero: Json, expected: Found| assert_eq!(condition(Some(&primero)), expected, "{primero}");
        check(json!({}), Found::Nothing);
        check(json!([]), Found::Nothing);
        check(json!({"disabled": true, "eq": {"a": 1}}), Found::Disabled);
        for json in [json!({"eq": {"a": 1, "b": 2}}), json!({"a": 1, "b": 2}), json!({"eq": 1}), json!({"a": null})] {
            check(json, Found::Unknown);
        }
        let mut deep = json!({"a": 1});
        for _ in 0..40 {
            deep = json!({"not": deep});
        }
        check(deep, Found::Unknown);
    }

    #[test]
    fn calculations_become_our_own() {
        let check = |primero: Json, ours: Option<Json>| {
            let expected = ours.map(|ours| serde_json::from_value(ours).unwrap());
            assert_eq!(calculation(&primero), expected, "{primero}");
        };
        let sum = json!({"expression": {"sum": [{"field": "a"}, {"avg": [{"field": "b"}, {"constant": "2"}]}]}});
        check(json!({"expression": {"sum": ["a", {"avg": ["b", 2]}]}}), Some(sum));
        let avg = json!({"expression": {"avg": [{"field": "a"}]}, "decimals": 2});
        check(json!({"expression": {"avg": {"data": ["a"], "extra": {"decimalPlaces": 2}}}}), Some(avg));
        check(json!({"expression": {"power": ["a"]}}), None);
        check(json!({"expression": {"sum": ["a"]}, "other": 1}), None);
    }
}
