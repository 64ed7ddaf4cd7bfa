//! How the rows of an OData entity set name those of another one, from the service's `$metadata`: the referential
//! constraints of navigation properties (v4) and of associations (v2, v3). What has no constraint names no properties, and
//! is left out.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::error::Error;
use super::metadata::{Model, attribute, chain_of, local, read};

/// A property's place in a record, outermost key first.
type Property = Vec<String>;

/// Properties that hold the key of an entity of another set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Association {
    /// The other set.
    pub set: String,
    /// Properties of this one, each with the other's whose value it holds.
    pub properties: Vec<(Property, Property)>,
}

/// All that a document says of them.
#[derive(Debug, Default)]
struct Links {
    /// Of v4, in their order, each with the type that has it.
    navigations: Vec<(String, Navigation)>,
    /// A set, the name of a navigation property, and the set where it leads to.
    bindings: Vec<(String, String, String)>,
    /// Of v2 and v3, in their order.
    constraints: Vec<Constraint>,
    /// Name of an association, with the sets of its roles.
    sets: Vec<(String, BTreeMap<String, String>)>,
}

#[derive(Debug, Default)]
struct Navigation {
    name: String,
    /// Without its namespace.
    target: String,
    properties: Vec<(Property, Property)>,
}

#[derive(Debug, Default)]
struct Constraint {
    association: String,
    /// Types of the roles, without their namespaces.
    types: BTreeMap<String, String>,
    principal: Side,
    dependent: Side,
}

#[derive(Debug, Default)]
struct Side {
    role: String,
    properties: Vec<Property>,
}

/// What an entity set refers to, in the order of the document.
pub(crate) fn associations(xml: &[u8], entity_set: &str) -> Result<Vec<Association>, Error> {
    let model = read(xml)?;
    let links = read_links(xml)?;
    let types: Vec<&str> = chain_of(&model, entity_set)?.into_iter().map(|(name, _)| name).collect();
    let mut found: Vec<Association> = Vec::new();
    let mut add = |set: Option<String>, properties: Vec<(Property, Property)>| {
        if let Some(set) = set.filter(|_| !properties.is_empty()) {
            let association = Association { set, properties };
            if !found.contains(&association) {
                found.push(association);
            }
        }
    };
    for (_, navigation) in links.navigations.iter().filter(|(owner, _)| types.contains(&owner.as_str())) {
        let is_bound = |(set, name, _): &&(String, String, String)| set == entity_set && *name == navigation.name;
        let bound = links.bindings.iter().find(is_bound).map(|(_, _, target)| target.clone());
        add(bound.or_else(|| only_set_of(&model, &navigation.target)), navigation.properties.clone());
    }
    for constraint in &links.constraints {
        let Constraint { principal, dependent, .. } = constraint;
        if principal.properties.len() != dependent.properties.len() {
            continue;
        }
        let sets = links.sets.iter().filter(|(name, _)| *name == constraint.association);
        let sets: Vec<&BTreeMap<String, String>> = sets.map(|(_, sets)| sets).collect();
        let is_ours =
            |sets: &&&BTreeMap<String, String>| sets.get(&dependent.role).is_some_and(|set| set == entity_set);
        let set = if sets.is_empty() {
            let type_of = |side: &Side| constraint.types.get(&side.role);
            let is_ours = type_of(dependent).is_some_and(|name| types.contains(&name.as_str()));
            type_of(principal).filter(|_| is_ours).and_then(|name| only_set_of(&model, name))
        } else {
            sets.iter().find(is_ours).and_then(|sets| sets.get(&principal.role).cloned())
        };
        let pairs = dependent.properties.iter().cloned().zip(principal.properties.iter().cloned());
        add(set, pairs.collect());
    }
    Ok(found)
}

/// The set of a type, if there is one and no other.
fn only_set_of(model: &Model, name: &str) -> Option<String> {
    let mut sets = model.sets.iter().filter(|(_, kind)| *kind == name).map(|(set, _)| set);
    let only = sets.next()?;
    sets.next().is_none().then(|| only.clone())
}

/// Where the reader stands.
#[derive(Default)]
struct Place {
    entity_type: String,
    entity_set: String,
    is_in_navigation: bool,
    is_in_association: bool,
    is_in_association_set: bool,
    /// The side of a constraint.
    is_principal: Option<bool>,
}

/// `xml` was read before: it has no DTD.
fn read_links(xml: &[u8]) -> Result<Links, Error> {
    let mut reader = Reader::from_reader(xml);
    let mut links = Links::default();
    let mut place = Place::default();
    let mut buffer = Vec::new();
    loop {
        let event = reader.read_event_into(&mut buffer);
        match event.map_err(|error| Error::Metadata { why: error.to_string() })? {
            Event::Start(element) => take(&element, true, &mut place, &mut links)?,
            Event::Empty(element) => take(&element, false, &mut place, &mut links)?,
            Event::End(element) => match element.local_name().as_ref() {
                b"EntityType" => place.entity_type.clear(),
                b"EntitySet" => place.entity_set.clear(),
                b"NavigationProperty" => place.is_in_navigation = false,
                b"Association" => place.is_in_association = false,
                b"AssociationSet" => place.is_in_association_set = false,
                b"Principal" | b"Dependent" => place.is_principal = None,
                _ => {}
            },
            Event::Eof => break,
            _ => {}
        }
        buffer.clear();
    }
    links.constraints.retain(|constraint| !constraint.principal.properties.is_empty());
    Ok(links)
}

fn take(element: &BytesStart<'_>, is_open: bool, place: &mut Place, links: &mut Links) -> Result<(), Error> {
    let text = |name: &str| Ok::<String, Error>(attribute(element, name)?.unwrap_or_default());
    match element.local_name().as_ref() {
        b"EntityType" if is_open => place.entity_type = text("Name")?,
        b"EntitySet" if is_open => place.entity_set = text("Name")?,
        b"NavigationProperty" if !place.entity_type.is_empty() => {
            let navigation = Navigation { name: text("Name")?, target: local(&text("Type")?), properties: Vec::new() };
            links.navigations.push((place.entity_type.clone(), navigation));
            place.is_in_navigation = is_open;
        }
        b"ReferentialConstraint" if place.is_in_navigation => {
            let (property, referenced) = (text("Property")?, text("ReferencedProperty")?);
            if let Some((_, navigation)) = links.navigations.last_mut() {
                navigation.properties.push((path_of(&property), path_of(&referenced)));
            }
        }
        b"NavigationPropertyBinding" if !place.entity_set.is_empty() => {
            let (path, target) = (text("Path")?, text("Target")?);
            // Of a derived type: `Namespace.Type/Name`; in another container: `Namespace.Container/Set`.
            let last = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
            links.bindings.push((place.entity_set.clone(), last(&path), last(&target)));
        }
        b"Association" if is_open => {
            links.constraints.push(Constraint { association: text("Name")?, ..Constraint::default() });
            place.is_in_association = true;
        }
        b"AssociationSet" if is_open => {
            links.sets.push((local(&text("Association")?), BTreeMap::new()));
            place.is_in_association_set = true;
        }
        b"End" if place.is_in_association => {
            let (role, kind) = (text("Role")?, local(&text("Type")?));
            links.constraints.last_mut().and_then(|constraint| constraint.types.insert(role, kind));
        }
        b"End" if place.is_in_association_set => {
            let (role, set) = (text("Role")?, text("EntitySet")?);
            links.sets.last_mut().and_then(|(_, sets)| sets.insert(role, set));
        }
        side @ (b"Principal" | b"Dependent") if place.is_in_association => {
            let (role, is_principal) = (text("Role")?, side == b"Principal");
            if let Some(side) = links.constraints.last_mut().map(|constraint| constraint.side(is_principal)) {
                side.role = role;
            }
            place.is_principal = is_open.then_some(is_principal);
        }
        b"PropertyRef" => {
            if let (Some(is_principal), Some(constraint)) = (place.is_principal, links.constraints.last_mut()) {
                constraint.side(is_principal).properties.push(path_of(&text("Name")?));
            }
        }
        _ => {}
    }
    Ok(())
}

impl Constraint {
    fn side(&mut self, is_principal: bool) -> &mut Side {
        if is_principal { &mut self.principal } else { &mut self.dependent }
    }
}

/// A property of a complex one is named by a path.
fn path_of(name: &str) -> Property {
    name.split('/').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(xml: &str, set: &str, expect: &[(&str, &str)]) {
        let found = associations(xml.as_bytes(), set).expect("metadata");
        let shown = |(own, other): &(Property, Property)| format!("{}={}", own.join("/"), other.join("/"));
        let text =
            |found: &Association| (found.set.clone(), found.properties.iter().map(shown).collect::<Vec<_>>().join(","));
        let found: Vec<(String, String)> = found.iter().map(text).collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(set, pairs)| (set.as_str(), pairs.as_str())).collect();
        assert_eq!(found, expect, "{set}");
    }

    const V4: &str = r#"<edmx:Edmx xmlns:edmx="e"><Schema Namespace="S">
        <EntityType Name="Customer"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Int64"/>
          <NavigationProperty Name="Orders" Type="Collection(S.Order)" Partner="Customer"/></EntityType>
        <EntityType Name="Paper"><Property Name="Region" Type="Edm.String"/>
          <NavigationProperty Name="Site" Type="S.Site"><ReferentialConstraint Property="Region" ReferencedProperty="Region"/>
            <ReferentialConstraint Property="Address/Site" ReferencedProperty="Code"/></NavigationProperty></EntityType>
        <EntityType Name="Order" BaseType="S.Paper"><Property Name="CustomerId" Type="Edm.Int64"/>
          <NavigationProperty Name="Customer" Type="S.Customer"><ReferentialConstraint Property="CustomerId" ReferencedProperty="Id"/>
          </NavigationProperty><NavigationProperty Name="Payer" Type="S.Customer">
            <ReferentialConstraint Property="PayerId" ReferencedProperty="Id"></ReferentialConstraint></NavigationProperty>
          <NavigationProperty Name="Loose" Type="S.Site"/></EntityType>
        <EntityType Name="Site"/>
        <EntityContainer Name="C"><EntitySet Name="Customers" EntityType="S.Customer"/>
          <EntitySet Name="Payers" EntityType="S.Customer"/><EntitySet Name="Sites" EntityType="S.Site"/>
          <EntitySet Name="Orders" EntityType="S.Order">
            <NavigationPropertyBinding Path="Customer" Target="Customers"/>
            <NavigationPropertyBinding Path="S.Order/Payer" Target="S.C/Payers"/></EntitySet>
          <EntitySet Name="Loose" EntityType="S.Order"/></EntityContainer></Schema></edmx:Edmx>"#;

    #[test]
    fn constraints_of_navigation_properties_lead_to_bound_or_only_sets() {
        let site = ("Sites", "Region=Region,Address/Site=Code");
        check(V4, "Orders", &[site, ("Customers", "CustomerId=Id"), ("Payers", "PayerId=Id")]);
        // Two sets have customers, and nothing says which of them is meant.
        check(V4, "Loose", &[site]);
        check(V4, "Customers", &[]);
        check(V4, "Nothing", &[]);
    }

    const V2: &str = r#"<edmx:Edmx xmlns:edmx="e"><Schema Namespace="S">
        <EntityType Name="Customer"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.Int64"/></EntityType>
        <EntityType Name="Order"><Key><PropertyRef Name="Id"/></Key><NavigationProperty Name="Customer"
          Relationship="S.FK" FromRole="Many" ToRole="One"/></EntityType>
        <Association Name="FK"><End Role="One" Type="S.Customer" Multiplicity="0..1"/><End Role="Many" Type="S.Order" Multiplicity="*"/>
          <ReferentialConstraint><Principal Role="One"><PropertyRef Name="Id"/></Principal>
            <Dependent Role="Many"><PropertyRef Name="CustomerId"/></Dependent></ReferentialConstraint></Association>
        <Association Name="Loose"><End Role="One" Type="S.Customer"/><End Role="Many" Type="S.Order"/></Association>
        <EntityContainer Name="C"><EntitySet Name="Customers" EntityType="S.Customer"/><EntitySet Name="Orders" EntityType="S.Order"/>
          <AssociationSet Name="FKSet" Association="S.FK"><End Role="One" EntitySet="Customers"/><End Role="Many" EntitySet="Orders"/>
          </AssociationSet></EntityContainer></Schema></edmx:Edmx>"#;

    #[test]
    fn constraints_of_associations_lead_from_the_dependent_to_the_principal() {
        check(V2, "Orders", &[("Customers", "CustomerId=Id")]);
        check(V2, "Customers", &[]);
        let (before, after) = (V2.find("<AssociationSet").unwrap(), V2.find("</EntityContainer>").unwrap());
        let without_sets = format!("{}{}", &V2[..before], &V2[after..]);
        check(&without_sets, "Orders", &[("Customers", "CustomerId=Id")]);
        check(&without_sets, "Customers", &[]);
        let elsewhere = V2.replace(r#"EntitySet="Orders""#, r#"EntitySet="OldOrders""#);
        check(&elsewhere, "Orders", &[]);
    }
}
