"""Who somebody is: logins, admins, passwords, pseudonyms."""
