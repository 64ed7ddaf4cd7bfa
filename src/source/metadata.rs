//! Types of an OData entity set from its service's `$metadata` (CSDL XML, OData v2 to v4).

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::error::Error;
use crate::model::column::{ColumnType, MONEY};

#[derive(Debug, Default)]
pub(super) struct Model {
    /// By the type's name without its namespace.
    entity_types: BTreeMap<String, EntityType>,
    /// Entity set to the name of its type without namespace.
    pub(super) sets: BTreeMap<String, String>,
}

/// What can be read of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntitySet {
    /// As it stands in an address.
    pub name: String,
    /// Properties that identify an entity. Empty = not known.
    pub key: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct EntityType {
    /// Absent = derives from nothing.
    base: Option<String>,
    properties: Vec<(String, Option<ColumnType>)>,
    /// Empty = that of its base.
    key: Vec<String>,
}

/// Properties of an entity set that have a type of ours, in the service's order. Empty when the document does not
/// describe the set: the columns are inferred then.
pub(crate) fn fetched_columns(xml: &[u8], entity_set: &str) -> Result<Vec<(String, ColumnType)>, Error> {
    let model = read(xml)?;
    let chain = chain_of(&model, entity_set)?;
    let properties = chain.iter().rev().flat_map(|(_, entity_type)| &entity_type.properties);
    Ok(properties.filter_map(|(name, kind)| kind.map(|kind| (name.clone(), kind))).collect())
}

/// All entity sets with their keys, by name.
pub(super) fn entity_sets(xml: &[u8]) -> Result<Vec<EntitySet>, Error> {
    let model = read(xml)?;
    let set = |name: &String| {
        let chain = chain_of(&model, name)?;
        let key = chain.into_iter().map(|(_, entity_type)| &entity_type.key).find(|key| !key.is_empty());
        Ok(EntitySet { name: name.clone(), key: key.cloned().unwrap_or_default() })
    };
    model.sets.keys().map(set).collect()
}

/// The type of an entity set and those that it derives from, by name.
pub(super) fn chain_of<'m>(model: &'m Model, entity_set: &str) -> Result<Vec<(&'m str, &'m EntityType)>, Error> {
    let mut chain = Vec::new();
    let mut next = model.sets.get(entity_set);
    while let Some(name) = next {
        let Some(entity_type) = model.entity_types.get(name) else { break };
        // A type cannot have more ancestors than there are types: more is a circle.
        if chain.len() >= model.entity_types.len() {
            return Err(Error::Metadata { why: format!("type `{name}` derives from itself") });
        }
        chain.push((name.as_str(), entity_type));
        next = entity_type.base.as_ref();
    }
    Ok(chain)
}

pub(super) fn read(xml: &[u8]) -> Result<Model, Error> {
    let wrong = |why: String| Error::Metadata { why };
    let mut reader = Reader::from_reader(xml);
    let mut model = Model::default();
    let mut current: Option<String> = None;
    let mut buffer = Vec::new();
    loop {
        let event = reader.read_event_into(&mut buffer).map_err(|error| wrong(error.to_string()))?;
        let is_open = matches!(event, Event::Start(_));
        match event {
            Event::Start(element) | Event::Empty(element) => match element.local_name().as_ref() {
                b"EntityType" | b"ComplexType" => {
                    let name = attribute(&element, "Name")?.unwrap_or_default();
                    let base = attribute(&element, "BaseType")?.map(|base| local(&base));
                    model.entity_types.insert(name.clone(), EntityType { base, ..EntityType::default() });
                    current = is_open.then_some(name);
                }
                b"Property" => {
                    if let Some(entity_type) = current.as_ref().and_then(|name| model.entity_types.get_mut(name)) {
                        let name = attribute(&element, "Name")?.unwrap_or_default();
                        entity_type.properties.push((name, column_type(&element)?));
                    }
                }
                b"PropertyRef" => {
                    if let Some(entity_type) = current.as_ref().and_then(|name| model.entity_types.get_mut(name)) {
                        entity_type.key.extend(attribute(&element, "Name")?);
                    }
                }
                b"EntitySet" => {
                    if let (Some(name), Some(entity_type)) =
                        (attribute(&element, "Name")?, attribute(&element, "EntityType")?)
                    {
                        model.sets.insert(name, local(&entity_type));
                    }
                }
                _ => {}
            },
            Event::End(element) if matches!(element.local_name().as_ref(), b"EntityType" | b"ComplexType") => {
                current = None
            }
            // No entities of its own are ever needed: refused before anything could be expanded.
            Event::DocType(_) => return Err(wrong("it has a DTD, which is refused".to_owned())),
            Event::Eof => return Ok(model),
            _ => {}
        }
        buffer.clear();
    }
}

/// `None` = no type of ours: complex values flatten by what they hold.
fn column_type(element: &BytesStart<'_>) -> Result<Option<ColumnType>, Error> {
    let edm = attribute(element, "Type")?.unwrap_or_default();
    if edm.starts_with("Collection(") {
        return Ok(Some(ColumnType::Json));
    }
    Ok(match edm.as_str() {
        "Edm.Boolean" => Some(ColumnType::Boolean),
        "Edm.Byte" | "Edm.SByte" | "Edm.Int16" | "Edm.Int32" | "Edm.Int64" => Some(ColumnType::Integer),
        "Edm.Decimal" => Some(decimal(attribute(element, "Precision")?, attribute(element, "Scale")?)),
        "Edm.Double" | "Edm.Single" => Some(ColumnType::Float),
        "Edm.Date" => Some(ColumnType::Date),
        "Edm.DateTime" => Some(ColumnType::DateTime),
        "Edm.DateTimeOffset" => Some(ColumnType::Instant),
        "Edm.String" | "Edm.Guid" | "Edm.Binary" | "Edm.Time" | "Edm.TimeOfDay" | "Edm.Duration" => {
            Some(ColumnType::Text)
        }
        _ => None,
    })
}

/// Money where it fits; services that leave the scale out, or call it variable, get room on both sides of the point.
fn decimal(precision: Option<String>, scale: Option<String>) -> ColumnType {
    let number = |text: Option<String>| text.and_then(|text| text.parse::<u8>().ok());
    match (number(precision), number(scale)) {
        (Some(precision), Some(scale)) if scale <= 4 && precision.saturating_sub(scale) <= 14 => MONEY,
        (Some(precision), Some(scale)) if precision <= 38 && scale <= precision => {
            ColumnType::Decimal { precision, scale }
        }
        (_, _) => ColumnType::Decimal { precision: 38, scale: 10 },
    }
}

pub(super) fn attribute(element: &BytesStart<'_>, name: &str) -> Result<Option<String>, Error> {
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| Error::Metadata { why: error.to_string() })?;
        if attribute.key.local_name().as_ref() == name.as_bytes() {
            return Ok(Some(String::from_utf8_lossy(&attribute.value).into_owned()));
        }
    }
    Ok(None)
}

pub(super) fn local(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = r#"<?xml version="1.0"?><edmx:Edmx xmlns:edmx="e"><Schema Namespace="S">
        <EntityType Name="Base"><Property Name="Id" Type="Edm.Int64"/></EntityType>
        <EntityType Name="Order" BaseType="S.Base"><Key><PropertyRef Name="Id"/></Key>
          <Property Name="Total" Type="Edm.Decimal" Precision="18" Scale="4"/>
          <Property Name="Rate" Type="Edm.Decimal" Precision="30" Scale="8"/>
          <Property Name="Any" Type="Edm.Decimal"/>
          <Property Name="At" Type="Edm.DateTimeOffset"/><Property Name="Tags" Type="Collection(Edm.String)"/>
          <Property Name="Address" Type="S.Address"/><NavigationProperty Name="Lines" Type="Collection(S.Line)"/>
        </EntityType>
        <EntityContainer Name="C"><EntitySet Name="Orders" EntityType="S.Order"/></EntityContainer></Schema></edmx:Edmx>"#;

    #[test]
    fn types_come_from_the_sets_type_and_its_ancestors() {
        let columns = fetched_columns(V4.as_bytes(), "Orders").expect("metadata");
        let text: Vec<String> = columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        let expect = [
            "Id integer",
            "Total decimal(18,4)",
            "Rate decimal(30,8)",
            "Any decimal(38,10)",
            "At instant",
            "Tags json",
        ];
        assert_eq!(text, expect);
        assert_eq!(fetched_columns(V4.as_bytes(), "Nothing").expect("metadata"), []);
        let sets = entity_sets(V4.as_bytes()).expect("metadata");
        assert_eq!(sets, [EntitySet { name: "Orders".into(), key: vec!["Id".into()] }]);
    }

    #[test]
    fn a_dtd_and_a_circle_are_refused() {
        assert!(fetched_columns(b"<!DOCTYPE x [<!ENTITY a 'b'>]><x/>", "A").is_err());
        let circle = V4.replace(r#"<EntityType Name="Base">"#, r#"<EntityType Name="Base" BaseType="S.Order">"#);
        assert!(fetched_columns(circle.as_bytes(), "Orders").is_err());
    }
}
