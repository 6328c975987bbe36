//! The native core of lightning-native: archives, names, requirements and scheduling.
